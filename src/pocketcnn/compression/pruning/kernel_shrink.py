"""Kernel shrinking: kernels of 5x5 and larger are cropped to their central 3x3, to be fine-tuned afterwards."""

from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, Node

SIZE = 3


def shrink_kernels(
    network: GraphNetwork, layers: Iterable[str] | None = None, size: int = SIZE
) -> tuple[GraphNetwork, tuple[str, ...]]:
    """A copy of `network` whose larger kernels are cropped to size x size, and the names of the changed layers.

    A depthwise 5x5 takes 25 multiply-adds per output value and a 3x3 takes 9. Feature maps keep their size: the padding
    shrinks with the kernel.

    Args:
        network: a captured network; it is not changed.
        layers: names of convolutions to shrink; all that can be shrunk by default.
        size: the new size, an odd number.

    Raises:
        UsageError: a named layer is not a convolution with a larger square kernel and enough padding, or `size` is even.
    """
    if size < 1 or size % 2 == 0:
        raise UsageError(f"The kernel size must be an odd number above 0, not {size}.")
    graph = network.graph
    wanted = None if layers is None else tuple(layers)
    for name in wanted or ():
        if name not in graph or not can_shrink(graph, graph[name], size):
            raise UsageError(f"{name!r} is not a convolution whose kernel can be cropped to {size}x{size}.")
    chosen = [node for node in graph.nodes if can_shrink(graph, node, size) and (wanted is None or node.name in wanted)]
    changed = {node.name: _cropped(graph, node, size) for node in chosen}
    tensors = {node.tensors["weight"]: _centre(graph.tensors[node.tensors["weight"]], size) for node in chosen}
    nodes = [changed.get(node.name, node) for node in graph.nodes]
    shrunk = graph.rebuilt(nodes, tensors={**graph.tensors, **tensors})
    return GraphNetwork(shrunk, network.info).train(network.training), tuple(changed)


def can_shrink(graph: Graph, node: Node, size: int = SIZE) -> bool:
    """Whether `node` is a convolution with an odd square kernel larger than `size`, enough padding, and an unshared weight."""
    if node.op != "conv2d":
        return False
    height, width = graph.tensors[node.tensors["weight"]].shape[2:]
    edge = (height - size) // 2
    padded = all(pad >= edge * step for pad, step in zip(node.pair("padding"), node.pair("dilation"), strict=True))
    unshared = sum(node.tensors["weight"] in other.tensors.values() for other in graph.nodes) == 1
    return height == width > size and height % 2 == 1 and padded and unshared


def _cropped(graph: Graph, node: Node, size: int) -> Node:
    edge = (graph.tensors[node.tensors["weight"]].shape[2] - size) // 2
    padding = tuple(pad - edge * step for pad, step in zip(node.pair("padding"), node.pair("dilation"), strict=True))
    return replace(node, attrs={**node.attrs, "padding": padding})


def _centre(weight: Tensor, size: int) -> Tensor:
    """The central (N, C/G, size, size) of a weight (N, C/G, K, K)."""
    edge = (weight.shape[2] - size) // 2
    return weight[:, :, edge : edge + size, edge : edge + size].contiguous()
