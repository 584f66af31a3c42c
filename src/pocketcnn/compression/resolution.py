"""The same network for images of another size."""

from dataclasses import replace

from pocketcnn.errors import UsageError
from pocketcnn.graph import OPS, Graph, GraphError, GraphNetwork, Node
from pocketcnn.graph.node import Shape


def at_resolution(network: GraphNetwork, height: int, width: int) -> GraphNetwork:
    """`network` for images of height x width; weights are copied, the input contract in `info` follows.

    Any network that ends in a global pooling can be brought to another size, as long as no map becomes empty.

    Raises:
        UsageError: the network is made for the size of its maps (it flattens them into a linear layer, say).
    """
    graph = network.graph
    shape = (graph.input_shape[0], height, width)
    try:
        resized = _resized(graph, shape)
    except GraphError as error:
        was = "x".join(map(str, graph.input_shape[1:]))
        raise UsageError(
            f"This network is made for images of {was} and does not take {height}x{width}: {error}"
        ) from error
    info = network.info
    if info.input is not None:
        contract = info.input.model_copy(update={"height": height, "width": width})
        info = info.model_copy(update={"input": contract})
    return GraphNetwork(resized, info).train(network.training)


def _resized(graph: Graph, shape: Shape) -> Graph:
    """Shapes inferred anew; a reshape of a map into groups of channels keeps the map's new size."""
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
    """The shape of a reshape for an input of another size: axes of the map keep their part, all others their size."""
    wanted = node.ints("shape")
    if before == now:
        return wanted
    if len(before) >= 3 and wanted[-2:] == before[-2:]:
        return (*wanted[:-2], *now[-2:])
    return wanted
