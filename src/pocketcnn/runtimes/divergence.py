"""Find the first layer of an exported network whose result differs from PyTorch's.

Comparing all values of two runs would blame the wrong layer. Where a quantized value lies halfway between two integers, two
correct kernels may round it differently, and the differences add up: in a deep network half of the last values can be one
quantization step apart although every layer is correct. So each layer is computed in PyTorch from the inputs that the
runtime gave it, and only the layer's own result is compared.
"""

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.onnx.qdq import is_absorbed
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.runtimes.intermediate_values import (
    ValuesByCutting,
    exposes_intermediate_values,
    intermediate_values,
    simulation,
)

WRONG_NETWORK = "the whole file: it was exported from another network"

FLOAT_TOLERANCE = 1e-3
"""Largest difference of a float value, as a share of its range."""

INT8_OUTPUT_TOLERANCE = 0.1
"""The same for the outputs of an integer network, where rounding differences accumulate."""

MAX_TIE_SHARE = 0.25
"""Largest share of a value's integers that may differ by one step: a mean of four integers lies halfway between two
integers in a quarter of the cases."""

FEW_TIES = {1.0: 0.05, 0.99: 0.01, 0.9: 0.002}
"""A value computed from integers that were rounded out of sight, where a tie changes an input by a step: for a share of the
elements (all, 99 %, 90 %), the largest difference as a share of the value's range. A step is 1/127 of the input's range."""

BATCH = 8
"""Images per batch; all values of the network are held in memory for one batch."""

MAX_MEAN_STEPS = 0.5
"""Mean difference, in quantization steps, above which accumulated rounding no longer explains a difference."""

SLOW_TO_CUT = frozenset({"executorch"})
"""Runtimes whose export of a part of the network takes up to half a minute, so that not every layer is tried."""

CANDIDATES_BEFORE = 3
"""Number of nodes before the first diverging one that are checked too, in case that one is itself correct."""


def divergence(network: GraphNetwork, images: Tensor, outputs: Tensor, runtime: str = "onnxruntime") -> str | None:
    """Name the first node whose result on `runtime` differs from PyTorch's for the same inputs, or None.

    An integer value differs if an element is more than one step off, or more than a quarter of the elements are one
    step off (`MAX_TIE_SHARE`); a float value if it is off by more than 1e-3 of its range. The intermediate values come from
    a second export with every value as an output. Where the runtime cannot expose them, the graph is cut after single
    nodes, and bisection finds the first that diverges.

    Args:
        network: the network that was exported.
        images: (N, C, H, W).
        outputs: (N, classes), what the exported file computed for `images`.
        runtime: name of the runtime that runs the file.

    Returns:
        The node's name; or a sentence where the file was exported from another network, batch-norm folding changed the
        outputs, or the runtime does not run the cut network; or None if there is no difference.
    """
    graph = simulation(network.graph, runtime)
    if not network.numerics and _differ(_outputs(graph, images), _outputs(network.graph, images)):
        return "folding of batch normalization"
    if not exposes_intermediate_values(runtime):
        return _by_cuts(graph, images[:BATCH].cpu(), outputs[:BATCH].cpu(), runtime)
    exposed, names = _exposed(graph), [node.name for node in graph.nodes]
    replay, positions = GraphNetwork(graph).eval(), []
    for batch, expected in zip(_batches(images), _batches(outputs), strict=True):
        logits, values = intermediate_values(network.graph if runtime == "ncnn" else graph, exposed, batch, runtime)
        if _outputs_differ(logits, expected, graph):
            return WRONG_NETWORK
        positions += [names.index(name) for name in _differing(replay, batch, values)[:1]]
    return names[min(positions)] if positions else None


def miscomputed(network: GraphNetwork, names: Sequence[str], images: Tensor, runtime: str) -> str | None:
    """The first of the nodes `names` whose result on `runtime`, where the graph is cut after it, differs from PyTorch's."""
    graph = simulation(network.graph, runtime)
    exposed, replay = _exposed(graph), GraphNetwork(graph).eval()
    runtime_values = ValuesByCutting(graph, images.cpu(), runtime)
    for name in names:
        actual = {each: runtime_values[each] for each in (*_sources(graph, name, exposed), name)}
        if name in _differing(replay, images.cpu(), actual):
            return name
    return None


def _by_cuts(graph: Graph, images: Tensor, outputs: Tensor, runtime: str) -> str | None:
    """The same by bisection; a sentence with the reason where the runtime does not run the cut network."""
    exposed, replay = _exposed(graph), GraphNetwork(graph).eval()
    expected = _values(replay, images)
    runtime_values = ValuesByCutting(graph, images, runtime)

    def diverges(name: str) -> bool:
        return _diverges(runtime_values[name], expected[name], graph.numerics.activations.get(name))

    def miscomputes(name: str) -> bool:
        actual = {each: runtime_values[each] for each in (*_sources(graph, name, exposed), name)}
        return name in _differing(replay, images, actual)

    try:
        if _outputs_differ(runtime_values[graph.output], outputs, graph):
            return WRONG_NETWORK
        if not diverges(graph.output):
            return None
        first = bisect_left(exposed, True, key=diverges)
        nearby = exposed[max(0, first - CANDIDATES_BEFORE) : first + 1]
        found = next((name for name in reversed(nearby) if miscomputes(name)), None)
        if found is None and runtime not in SLOW_TO_CUT:
            found = next((name for name in exposed if miscomputes(name)), None)
        return found
    except PocketcnnError as error:
        return f"not located, because {runtime} cannot run a part of the network: {error}"


def _exposed(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if _is_exposed(graph, node)]


def _sources(graph: Graph, name: str, exposed: Sequence[str]) -> list[str]:
    """The exposed values that node `name` is computed from, directly or through nodes that are not exposed."""
    sources: dict[str, None] = {}
    waiting = list(graph[name].inputs)
    while waiting:
        source = waiting.pop()
        if source in exposed or graph[source].op == "input":
            sources[source] = None
        else:
            waiting += graph[source].inputs
    return list(sources)


def _values(network: GraphNetwork, images: Tensor) -> dict[str, Tensor]:
    """Every value of the network in PyTorch."""
    values: dict[str, Tensor] = {}

    def keep(node: Node, value: Tensor) -> None:
        values[node.name] = value

    with torch.inference_mode():
        network.run(images, keep)
    return values


def _diverges(actual: Tensor, expected: Tensor, fmt: ActivationFormat | None) -> bool:
    """Whether two values differ; for integers, by more than accumulated rounding explains."""
    if fmt is None:
        return _differ(actual, expected)
    return not bool(((actual - expected) / fmt.scale).abs().mean() <= MAX_MEAN_STEPS)


def _outputs_differ(logits: Tensor, expected: Tensor, graph: Graph) -> bool:
    return _differ(logits, expected, INT8_OUTPUT_TOLERANCE if graph.numerics else FLOAT_TOLERANCE)


def _batches(values: Tensor) -> tuple[Tensor, ...]:
    return torch.split(values.cpu(), BATCH)


def _is_exposed(graph: Graph, node: Node) -> bool:
    """Whether the value may become an output: a value that runtimes fuse away must stay fused."""
    return node.op not in ("input", "constant") and not is_absorbed(graph, node)


def _outputs(graph: Graph, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = GraphNetwork(graph).eval()(images)
    return logits


def _differing(network: GraphNetwork, images: Tensor, values: dict[str, Tensor]) -> list[str]:
    """The nodes, in the order of the graph, that do not compute their `values` from the values of their inputs."""
    differing: list[str] = []
    unseen: set[str] = set()
    """Nodes that depend on a rounded value which the runtime does not show: it may round a tie the other way."""

    def compare(node: Node, computed: Tensor) -> Tensor | None:
        actual, fmt = values.get(node.name), network.numerics.activations.get(node.name)
        if actual is None:
            if fmt is not None or unseen.intersection(node.inputs):
                unseen.add(node.name)
        elif unseen.intersection(node.inputs):
            if _differ_but_for_ties(actual, computed, fmt):
                differing.append(node.name)
        elif _differs(computed, actual, fmt):
            differing.append(node.name)
        return actual

    with torch.inference_mode():
        network.run(images, compare)
    return differing


def _differs(computed: Tensor, actual: Tensor, fmt: ActivationFormat | None) -> bool:
    if fmt is None:
        return _differ(actual, computed)
    steps = ((actual - computed) / fmt.scale).abs().round()
    return bool((steps > 1).any() or (steps > 0).double().mean() > MAX_TIE_SHARE)


def _differ_but_for_ties(actual: Tensor, expected: Tensor, fmt: ActivationFormat | None) -> bool:
    """Whether two values differ by more than a few roundings of the integers they are computed from explain."""
    if fmt is not None and float(((actual - expected) / fmt.scale).abs().round().gt(0).double().mean()) > MAX_TIE_SHARE:
        return True
    error = (actual - expected).abs()
    if fmt is not None:
        error = (error - fmt.scale).clamp(min=0)  # its own rounding
    error = (error / _range(expected)).flatten().sort().values
    last = len(error) - 1
    return not all(bool(error[int(share * last)] <= limit) for share, limit in FEW_TIES.items())


def _range(expected: Tensor) -> float:
    return max(float(expected.max() - expected.min()), float(expected.abs().max()), 1e-6)


def _differ(actual: Tensor, expected: Tensor, tolerance: float = FLOAT_TOLERANCE) -> bool:
    """Whether two float values differ by more than the tolerance, or only one of them is NaN."""
    return not bool(torch.allclose(actual, expected, rtol=0, atol=tolerance * _range(expected), equal_nan=True))
