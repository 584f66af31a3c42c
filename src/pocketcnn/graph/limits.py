"""Limits on what a network from a file may ask for, so that a damaged or hostile file cannot exhaust memory or time.

A few bytes can describe values of any size: one changed digit of a padding made a forward pass of an 8 x 8 image take 1.9 GB.
So the values are limited by the size of the weights, which the file must hold, and by a constant.
"""

from collections.abc import Iterator
from math import prod

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import GraphError

SMALL = 2**22
"""Elements of a value that every network may have, 16 MB in float32: 64 channels of 256 x 256 pixels."""

PER_WEIGHT_BYTE = 256
"""Further elements of a value for each byte of the weights. Published networks at their input sizes need at most 40."""

LARGEST = 2**26
"""Most elements of a value, 256 MB in float32."""

TOGETHER = 2**27
"""Most elements of all values that are needed at the same time, 512 MB in float32."""

MAX_MADDS = 2**40
"""Most multiply-adds for one image. NASNet-A Large has 2.4e10."""


def check_limits(graph: Graph) -> None:
    """Check the values and multiply-adds of a network from a file, for one image.

    Raises:
        GraphError: a value, all values that are needed at the same time, or the multiply-adds exceed their limit.
    """
    allowed = largest_value(graph)
    for node in graph.nodes:
        if prod(node.shape) > allowed:
            raise GraphError(
                f"Node {node.name!r} ({node.op}): a value of shape {node.shape} is too large for a network with so few "
                f"weights; it may have {allowed:,} elements."
            )
    together = min(TOGETHER, 4 * allowed)
    for node, elements in live_elements(graph):
        if elements > together:
            raise GraphError(
                f"Node {node.name!r} ({node.op}): {elements:,} elements are needed in memory at the same time; at most "
                f"{together:,} are allowed for a network with so few weights."
            )
    madds = sum(graph.madds(node) for node in graph.nodes)
    if madds > MAX_MADDS:
        raise GraphError(f"The network has {madds:,} multiply-adds for one image; at most {MAX_MADDS:,} are allowed.")


def largest_value(graph: Graph) -> int:
    """The most elements that one value of this network may have."""
    weight_bytes = sum(tensor.numel() * tensor.element_size() for tensor in graph.tensors.values())
    return min(LARGEST, SMALL + PER_WEIGHT_BYTE * weight_bytes)


def live_elements(graph: Graph) -> Iterator[tuple[Node, int]]:
    """After each node, the elements of all values that are still needed, with those that it has just read."""
    sizes = {node.name: prod(node.shape) for node in graph.nodes}
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    ending: dict[str, list[str]] = {}
    for name, reader in last.items():
        ending.setdefault(reader, []).append(name)
    live = 0
    for node in graph.nodes:
        live += sizes[node.name]
        yield node, live
        live -= sum(sizes[name] for name in ending.get(node.name, ()))
