"""Per-layer latency: a runtime's profile, mapped to the layers of the graph."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pocketcnn.cost.fusion import is_fused
from pocketcnn.formats.onnx.writer import OUTPUT_NAME, to_onnx
from pocketcnn.graph import Graph, for_inference
from pocketcnn.runtimes.operator_times import OperatorTime
from pocketcnn.runtimes.profilers import profiler

RUNS = 50

_CONTINUES = re.compile(r"[/#_]")
"""Separator of a layer's name and a suffix in the name of an operator: ``conv/quantized``, ``conv_nchwc``."""


@dataclass(frozen=True, slots=True)
class LayerTime:
    """The time of one layer and the layers fused into it, for one image.

    Attributes:
        name, op: name and operation of the layer; fused: names of the layers that are fused into it.
        operators: the runtime's operators for it.
    """

    name: str
    op: str
    fused: tuple[str, ...]
    operators: tuple[OperatorTime, ...]

    @property
    def seconds(self) -> float:
        """Sum of the median times of its operators, in seconds."""
        return sum(operator.seconds for operator in self.operators)


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """The times of all layers with operators, in the order of `graph`, which is the graph as executed.

    An operator whose name contains no layer's name is attributed to the layer of the operator before it.
    """

    runtime: str
    threads: int
    graph: Graph
    layers: tuple[LayerTime, ...]

    @property
    def seconds(self) -> float:
        """Sum over all layers, in seconds, without the time between operators."""
        return sum(layer.seconds for layer in self.layers)


def layer_times(graph: Graph, runtime: str, *, threads: int = 1, runs: int = RUNS) -> LayerTimes:
    """Profile `graph`, float or quantized, on `runtime` with a random image, `runs` times.

    Raises:
        UsageError: the runtime's profiler is not supported.
        MissingExtra: the runtime is not installed.
    """
    measure = profiler(runtime)
    folded = graph if graph.numerics else for_inference(graph)
    model: bytes = to_onnx(folded, names="full").SerializeToString()
    image = np.random.default_rng(0).standard_normal((1, *folded.input_shape), dtype=np.float32)
    return LayerTimes(runtime, threads, folded, by_layer(folded, measure(model, image, threads=threads, runs=runs)))


def by_layer(graph: Graph, operators: Iterable[OperatorTime]) -> tuple[LayerTime, ...]:
    """Group the operators of a profile by layer."""
    leader_of = _leaders(graph)
    found: dict[str, list[OperatorTime]] = defaultdict(list)
    last = graph.nodes[0].name
    for operator in operators:
        named = (layer_of(graph, origin) for origin in operator.origins)
        last = leader_of[next((name for name in named if name is not None), last)]
        found[last].append(operator)
    inside: dict[str, list[str]] = defaultdict(list)
    for name, leader in leader_of.items():
        if leader != name:
            inside[leader].append(name)
    return tuple(
        LayerTime(node.name, node.op, tuple(inside[node.name]), tuple(found[node.name]))
        for node in graph.nodes
        if node.name in found
    )


def layer_of(graph: Graph, origin: str) -> str | None:
    """The layer whose name is the longest prefix of an operator's name; the model's output belongs to the last layer."""
    ends = [len(origin), *(found.start() for found in reversed(list(_CONTINUES.finditer(origin))))]
    for name in (origin[:end] for end in ends):
        if name in graph:
            return name
        if name == OUTPUT_NAME:
            return graph.output
    return None


def _leaders(graph: Graph) -> dict[str, str]:
    """For each node the layer into which it is fused, or the node itself."""
    leader_of: dict[str, str] = {}
    for node in graph.nodes:
        leader_of[node.name] = leader_of[node.inputs[0]] if is_fused(graph, node) else node.name
    return leader_of
