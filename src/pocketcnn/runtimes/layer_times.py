"""A runtime's own times, mapped back to the layers of the graph."""

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
"""What may follow the name of a layer in the name of an operator made from it: ``conv/quantized``, ``conv_nchwc``."""


@dataclass(frozen=True, slots=True)
class LayerTime:
    """What one layer, with what is computed inside it, took for one image, in seconds (medians, summed over operators).

    Attributes:
        name, op: of the layer that leads; fused: names of the layers that are computed inside it.
        operators: what the runtime ran for it.
    """

    name: str
    op: str
    fused: tuple[str, ...]
    operators: tuple[OperatorTime, ...]

    @property
    def seconds(self) -> float:
        """Of all its operators."""
        return sum(operator.seconds for operator in self.operators)


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """The layers that took time, in the order of the graph; `graph` is the network as it ran, `threads` on how many.

    Operators whose names tell no layer count for the layer of the operator before them.
    """

    runtime: str
    threads: int
    graph: Graph
    layers: tuple[LayerTime, ...]

    @property
    def seconds(self) -> float:
        """Of all layers; what lies between operators is not in it."""
        return sum(layer.seconds for layer in self.layers)


def layer_times(graph: Graph, runtime: str, *, threads: int = 1, runs: int = RUNS) -> LayerTimes:
    """Run `graph`, float or quantized, under the profiler of `runtime` on a random image, `runs` times.

    Raises:
        UsageError: the runtime has no profiler that is known here.
        MissingExtra: the runtime is not installed.
    """
    measure = profiler(runtime)
    folded = graph if graph.numerics else for_inference(graph)
    model: bytes = to_onnx(folded, names="full").SerializeToString()
    image = np.random.default_rng(0).standard_normal((1, *folded.input_shape), dtype=np.float32)
    return LayerTimes(runtime, threads, folded, by_layer(folded, measure(model, image, threads=threads, runs=runs)))


def by_layer(graph: Graph, operators: Iterable[OperatorTime]) -> tuple[LayerTime, ...]:
    """The operators of a run under the layers that they compute."""
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
    """The layer that an operator's name begins with, the longest one; the file's output is the value of the last layer."""
    ends = [len(origin), *(found.start() for found in reversed(list(_CONTINUES.finditer(origin))))]
    for name in (origin[:end] for end in ends):
        if name in graph:
            return name
        if name == OUTPUT_NAME:
            return graph.output
    return None


def _leaders(graph: Graph) -> dict[str, str]:
    """For each node the one that it is computed inside of, or itself."""
    leader_of: dict[str, str] = {}
    for node in graph.nodes:
        leader_of[node.name] = leader_of[node.inputs[0]] if is_fused(graph, node) else node.name
    return leader_of
