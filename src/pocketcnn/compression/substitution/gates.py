"""Squeeze-and-excite without its multiplication: each channel is scaled by the average of its gate.

The gate becomes a constant, which is multiplied into the weights of the next convolution, so no operation is needed.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pocketcnn.compression.substitution.replacements import Change
from pocketcnn.compression.substitution.scaling import scaled_readers, with_tensors
from pocketcnn.compression.substitution.statistics import mean_of
from pocketcnn.graph import Graph, Node
from pocketcnn.graph.node import Attr


def gate_of(graph: Graph, node: Node) -> tuple[str, str] | None:
    """(map, gate) if `node` multiplies a map (C, H, W) by one number per channel (C, 1, 1), else None."""
    if node.op != "mul":
        return None
    for value, gate in (node.inputs, node.inputs[::-1]):
        if graph[value].shape == node.shape and graph[gate].shape == (node.shape[0], 1, 1):
            return value, gate
    return None


def drop_gates(graph: Graph, nodes: Sequence[Node], images: Tensor | None) -> tuple[Graph, list[Change]]:
    """Remove the multiplications `nodes`, for which `gate_of` is not None.

    The averages are taken over `images` (N, C, H, W), or without images over a grey image and a few random ones. If the
    average cannot be multiplied into the next weights, a 1x1 depthwise convolution applies it.
    """
    if not nodes:
        return graph, []
    gates = {node.name: _gated(graph, node)[1] for node in nodes}
    means = mean_of(graph, images if images is not None else _stand_in_images(graph), frozenset(gates.values()))
    changes = []
    for name, gate in gates.items():
        factors = means[gate].reshape(-1)
        value, _ = _gated(graph, graph[name])
        graph = _dropped(graph, graph[name], value, factors)
        changes.append(
            Change(name, "mul by a gate", f"the average gate, {float(factors.mean()):.2f}, in the next weights")
        )
    return graph, changes


def _gated(graph: Graph, node: Node) -> tuple[str, str]:
    found = gate_of(graph, node)
    if found is None:
        raise ValueError(f"{node.name} does not multiply by a gate")
    return found


def _stand_in_images(graph: Graph) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat([torch.zeros(1, *graph.input_shape), torch.randn(3, *graph.input_shape, generator=generator)])


def _dropped(graph: Graph, node: Node, value: str, factors: Tensor) -> Graph:
    weights = scaled_readers(graph, node.name, factors)
    if weights is None:
        return _as_convolution(graph, node, value, factors)
    nodes = [
        replace(other, inputs=tuple(value if name == node.name else name for name in other.inputs))
        for other in graph.nodes
        if other.name != node.name
    ]
    return graph.rebuilt(nodes, tensors=with_tensors(graph, weights))


def _as_convolution(graph: Graph, node: Node, value: str, factors: Tensor) -> Graph:
    name = f"{node.name.replace('/', '_')}.weight"
    attrs: dict[str, Attr] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": node.shape[0]}
    layer = replace(node, op="conv2d", inputs=(value,), attrs=attrs, tensors={"weight": name})
    nodes = [layer if other.name == node.name else other for other in graph.nodes]
    return graph.rebuilt(nodes, tensors=with_tensors(graph, {name: factors.reshape(-1, 1, 1, 1)}))
