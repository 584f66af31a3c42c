"""Kernels of 5x5 and more, cut to the 3x3 in their middle; what is cut off is left to recovery."""

from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, Node

SIZE = 3


def shrink_kernels(
    network: GraphNetwork, layers: Iterable[str] | None = None, size: int = SIZE
) -> tuple[GraphNetwork, tuple[str, ...]]:
    """A copy of `network` whose larger kernels are size x size, and the names of the layers that changed.

    A depthwise 5x5 costs 25 multiply-adds a value and 3x3 costs 9. Maps keep their sizes: the padding shrinks with the kernel.

    Args:
        layers: names of convolutions to shrink; all that can be if not given.
        size: an odd number.

    Raises:
        UsageError: a named layer is no convolution with a larger square kernel and enough padding, or `size` is even.
    """
    if size < 1 or size % 2 == 0:
        raise UsageError(f"A kernel with a middle has an odd size, not {size}.")
    graph = network.graph
    wanted = None if layers is None else tuple(layers)
    for name in wanted or ():
        if name not in graph or not can_shrink(graph, graph[name], size):
            raise UsageError(f"{name!r} is no convolution that can be cut to {size}x{size}.")
    chosen = [node for node in graph.nodes if can_shrink(graph, node, size) and (wanted is None or node.name in wanted)]
    changed = {node.name: _cropped(graph, node, size) for node in chosen}
    tensors = {node.tensors["weight"]: _centre(graph.tensors[node.tensors["weight"]], size) for node in chosen}
    nodes = [changed.get(node.name, node) for node in graph.nodes]
    shrunk = graph.rebuilt(nodes, tensors={**graph.tensors, **tensors})
    return GraphNetwork(shrunk, network.info).train(network.training), tuple(changed)


def can_shrink(graph: Graph, node: Node, size: int = SIZE) -> bool:
    """Whether `node` is a convolution with a square, odd kernel above `size`, padded enough, whose weight is its own."""
    if node.op != "conv2d":
        return False
    height, width = graph.tensors[node.tensors["weight"]].shape[2:]
    edge = (height - size) // 2
    padded = all(pad >= edge * step for pad, step in zip(node.pair("padding"), node.pair("dilation"), strict=True))
    own = sum(node.tensors["weight"] in other.tensors.values() for other in graph.nodes) == 1
    return height == width > size and height % 2 == 1 and padded and own


def _cropped(graph: Graph, node: Node, size: int) -> Node:
    edge = (graph.tensors[node.tensors["weight"]].shape[2] - size) // 2
    padding = tuple(pad - edge * step for pad, step in zip(node.pair("padding"), node.pair("dilation"), strict=True))
    return replace(node, attrs={**node.attrs, "padding": padding})


def _centre(weight: Tensor, size: int) -> Tensor:
    """The middle (N, C/G, size, size) of a weight (N, C/G, K, K)."""
    edge = (weight.shape[2] - size) // 2
    return weight[:, :, edge : edge + size, edge : edge + size].contiguous()
