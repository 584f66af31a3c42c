"""Change the input resolution of a network."""

from dataclasses import replace

from pocketcnn.errors import UsageError
from pocketcnn.graph import OPS, Graph, GraphError, GraphNetwork, Node
from pocketcnn.graph.node import Shape


def at_resolution(network: GraphNetwork, height: int, width: int) -> GraphNetwork:
    """`network` for images of height x width pixels; weights are copied, and the input contract in `info` is updated.

    Any network that ends in global pooling can be changed, as long as no feature map becomes empty.

    Raises:
        UsageError: the network depends on the size of its maps, for example by flattening them into a linear layer.
    """
    graph = network.graph
    shape = (graph.input_shape[0], height, width)
    try:
        resized = _resized(graph, shape)
    except GraphError as error:
        was = "x".join(map(str, graph.input_shape[1:]))
        raise UsageError(
            f"This network takes images of {was} and cannot be changed to {height}x{width}: {error}"
        ) from error
    info = network.info
    if info.input is not None:
        contract = info.input.model_copy(update={"height": height, "width": width})
        info = info.model_copy(update={"input": contract})
    return GraphNetwork(resized, info).train(network.training)


def _resized(graph: Graph, shape: Shape) -> Graph:
    """Infer all shapes again; a reshape of a map into groups of channels takes the new map size."""
    nodes: list[Node] = []
    shapes: dict[str, Shape] = {}
    for node in graph.nodes:
        if node.op == "input":
            node = replace(node, shape=shape)
        elif node.op == "reshape":
            before = graph[node.inputs[0]].shape
            node = replace(node, attrs={**node.attrs, "shape": _reshaped(node, before, shapes[node.inputs[0]])})
        nodes.append(node)
        shapes[node.name] = _shape_of(graph, node, shapes)
    return graph.rebuilt(nodes)


def _shape_of(graph: Graph, node: Node, shapes: dict[str, Shape]) -> Shape:
    if node.op == "input":
        return node.shape
    return OPS[node.op].shape(node, [shapes[name] for name in node.inputs], graph.tensor_shapes(node))


def _reshaped(node: Node, before: Shape, now: Shape) -> Shape:
    """The shape of a reshape for another input size: map axes follow the input, all others keep their size."""
    wanted = node.ints("shape")
    if before == now:
        return wanted
    if len(before) >= 3 and wanted[-2:] == before[-2:]:
        return (*wanted[:-2], *now[-2:])
    return wanted
