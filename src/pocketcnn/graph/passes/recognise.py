"""Pattern recognition: compositions that are one operation, such as channel shuffle, h-sigmoid, h-swish, SiLU and GELU."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.activation import GELU_ERF_SCALE

Pattern = Callable[[Graph, Node], Node | None]


def recognise(graph: Graph) -> Graph:
    """Replace known compositions by the single operation and remove nodes that are no longer read."""
    for pattern in (_channel_shuffle, _hard_sigmoid, _gated, _hard_swish_scaled_last, _gelu):
        nodes = [pattern(graph, node) or node for node in graph.nodes]
        graph = graph.rebuilt(nodes)
    return graph


def _only(graph: Graph, node: Node, op: str) -> Node | None:
    """The input of `node` if it is an `op` whose only reader is `node`."""
    source = graph[node.inputs[0]]
    return source if source.op == op and len(graph.users(source.name)) == 1 else None


def _channel_shuffle(graph: Graph, node: Node) -> Node | None:
    """(C, H, W) -> (G, C/G, H, W) -> (C/G, G, H, W) -> (C, H, W); the spatial axes may be flattened in between."""
    if node.op != "reshape" or len(node.shape) != 3:
        return None
    swap = _only(graph, node, "permute")
    split = _only(graph, swap, "reshape") if swap else None
    if swap is None or split is None:
        return None
    source = graph[split.inputs[0]]
    groups, rest = split.shape[0], tuple(range(2, len(split.shape)))
    same = source.shape == node.shape and split.shape[0] * split.shape[1] == node.shape[0]
    if not same or swap.ints("order") != (1, 0, *rest):
        return None
    return replace(node, op="channel_shuffle", inputs=(source.name,), attrs={"groups": groups})


def _is_affine(node: Node | None, scale: float, offset: float) -> bool:
    return (
        node is not None
        and node.op == "affine"
        and abs(node.number("scale") - scale) < 1e-6
        and node.number("offset") == offset
    )


def _relu6_of_plus_3(graph: Graph, node: Node | None) -> str | None:
    """x, if `node` computes ReLU6(x + 3)."""
    if node is None or node.op != "relu6":
        return None
    plus = graph[node.inputs[0]]
    return plus.inputs[0] if _is_affine(plus, 1.0, 3.0) else None


def _hard_sigmoid(graph: Graph, node: Node) -> Node | None:
    """ReLU6(x + 3) / 6 (MobileNetV3 paper, section 5.2)."""
    x = _relu6_of_plus_3(graph, _only(graph, node, "relu6")) if _is_affine(node, 1 / 6, 0.0) else None
    return replace(node, op="hardsigmoid", inputs=(x,), attrs={}) if x else None


def _gated(graph: Graph, node: Node) -> Node | None:
    """x · f(x) for an operation whose `gate` is f, such as h-swish (MobileNetV3 paper, section 5.2) and SiLU."""
    if node.op != "mul":
        return None
    for x, y in (node.inputs, node.inputs[::-1]):
        for op in OPS.values():
            if op.gate and _is_chain(graph, y, op.gate, x):
                return replace(node, op=op.name, inputs=(x,), attrs={})
    return None


def _is_chain(graph: Graph, last: str, names: Sequence[str], x: str) -> bool:
    """Whether `last` is computed from `x` by the chain of operations `names`, from last to first."""
    for name in names:
        if graph[last].op != name:
            return False
        last = graph[last].inputs[0]
    return last == x


def _hard_swish_scaled_last(graph: Graph, node: Node) -> Node | None:
    """(x · ReLU6(x + 3)) / 6: h-swish with the division last."""
    if not _is_affine(node, 1 / 6, 0.0):
        return None
    product = _only(graph, node, "mul")
    if product is None:
        return None
    for x, gate in (product.inputs, product.inputs[::-1]):
        if _relu6_of_plus_3(graph, graph[gate]) == x:
            return replace(node, op="hardswish", inputs=(x,), attrs={})
    return None


def _gelu(graph: Graph, node: Node) -> Node | None:
    """x · (erf(x / √2) + 1) / 2, with the factor 1/2 at any place: the definition of GELU, as exporters write it out."""
    scale, factors = _factors(graph, node.name, node)
    if len(factors) != 2:
        return None
    for x, curve in (factors, factors[::-1]):
        source, slope, offset = _affine_of(graph, curve)
        inner = graph[source]
        if inner.op != "erf":
            continue
        argument, stretch, shift = _affine_of(graph, inner.inputs[0])
        numbers = zip((scale * slope, scale * offset, stretch, shift), (0.5, 0.5, GELU_ERF_SCALE, 0.0), strict=True)
        if argument == x and all(abs(found - wanted) < 1e-5 for found, wanted in numbers):
            return replace(node, op="gelu", inputs=(x,), attrs={"tanh": False})
    return None


def _factors(graph: Graph, name: str, root: Node) -> tuple[float, list[str]]:
    """A product as its number and its other factors; inner products are opened if no other operation reads them."""
    node = graph[name]
    if node is not root and len(graph.users(name)) != 1:
        return 1.0, [name]
    if node.op == "affine" and node.number("offset") == 0:
        scale, factors = _factors(graph, node.inputs[0], root)
        return scale * node.number("scale"), factors
    if node.op == "mul":
        parts = [_factors(graph, source, root) for source in node.inputs]
        return parts[0][0] * parts[1][0], parts[0][1] + parts[1][1]
    return 1.0, [name]


def _affine_of(graph: Graph, name: str) -> tuple[str, float, float]:
    """The value of which `name` is an affine function, with its scale and offset."""
    scale, offset, node = 1.0, 0.0, graph[name]
    while node.op == "affine":
        offset += scale * node.number("offset")
        scale *= node.number("scale")
        node = graph[node.inputs[0]]
    return node.name, scale, offset
