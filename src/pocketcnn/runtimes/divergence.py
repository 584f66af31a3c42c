"""Which layer of an exported network computes something else than PyTorch does.

Comparing every value of two runs would blame the wrong layer: an integer that is rounded the other way at a tie changes
what follows, and in a deep network half of the last values are a step apart although every layer is right. So each
layer is computed in PyTorch from the values that the runtime gave to it, and only its own result is compared.
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
from pocketcnn.graph.passes.fold import for_inference
from pocketcnn.runtimes.intermediate_values import ValuesByCutting, exposes_intermediate_values, intermediate_values

OTHER_NETWORK = "the file as a whole: this network exports to another one"

FLOAT_TOLERANCE = 1e-3
"""Share of a value's range."""

OTHER_FILE = 0.1
"""The same for the answers of an integer network, whose roundings add up."""

TIES = 0.25
"""Share of a value's integers that may be one step apart: where four numbers are averaged, so many lie between two steps."""

BATCH = 8
"""Images at a time: every value of the network is kept for them."""

ADDED_UP = 0.5
"""Mean difference in steps from which integers are apart by more than the roundings before them, where they add up."""

BEFORE = 3
"""Nodes before the first that is apart that are looked at too, should that one itself be right."""


def divergence(network: GraphNetwork, images: Tensor, outputs: Tensor, runtime: str = "onnxruntime") -> str | None:
    """The first difference between `network` and the file of `runtime` that gave `outputs` for `images`, or None.

    It is the first node, in the order of the graph, whose value differs from what PyTorch computes from the same
    inputs: in integers by more than one step anywhere or by one step at more than a quarter of its elements (`TIES`),
    in float by more than 1e-3 of its range. The values come from other files: the same network with every value as
    an output, or, where a runtime cannot show them, cut off after one node and the next, until the first one that is
    apart is found by bisection. If such a file answers otherwise than `outputs`, or the folded network otherwise than
    `network`, that is said.
    """
    graph = network.graph if network.numerics else for_inference(network.graph)
    if not network.numerics and _far(_answers(graph, images), _answers(network.graph, images)):
        return "folding of batch normalization"
    if not exposes_intermediate_values(runtime):
        return _by_cuts(graph, images[:BATCH].cpu(), outputs[:BATCH].cpu(), runtime)
    shown = _shown(graph)
    replay, places = GraphNetwork(graph).eval(), []
    for batch, expected in zip(_batches(images), _batches(outputs), strict=True):
        answers, values = intermediate_values(graph, shown, batch, runtime)
        if _is_other(answers, expected, graph):
            return OTHER_NETWORK
        places += [shown.index(name) for name in _differing(replay, batch, values)[:1]]
    return shown[min(places)] if places else None


def _by_cuts(graph: Graph, images: Tensor, outputs: Tensor, runtime: str) -> str | None:
    """The same by bisection; the reason why there is no answer where the runtime takes the network only as a whole."""
    shown, replay = _shown(graph), GraphNetwork(graph).eval()
    expected = _values(replay, images)
    found = ValuesByCutting(graph, images, runtime)

    def is_apart(name: str) -> bool:
        return _is_apart(found[name], expected[name], graph.numerics.activations.get(name))

    def is_wrong(name: str) -> bool:
        given = {each: found[each] for each in (*_sources(graph, name, shown), name)}
        return name in _differing(replay, images, given)

    try:
        if _is_other(found[graph.output], outputs, graph):
            return OTHER_NETWORK
        if not is_apart(graph.output):
            return None
        first = bisect_left(shown, True, key=is_apart)
        nearby = shown[max(0, first - BEFORE) : first + 1]
        return next((name for name in reversed(nearby) if is_wrong(name)), None)
    except PocketcnnError as error:
        return f"not located, because {runtime} does not run the network cut off there: {error}"


def _shown(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if _is_shown(graph, node)]


def _sources(graph: Graph, name: str, shown: Sequence[str]) -> list[str]:
    """The values that are shown and that node `name` is computed from, through nodes that are not."""
    found: dict[str, None] = {}
    waiting = list(graph[name].inputs)
    while waiting:
        source = waiting.pop()
        if source in shown or graph[source].op == "input":
            found[source] = None
        else:
            waiting += graph[source].inputs
    return list(found)


def _values(network: GraphNetwork, images: Tensor) -> dict[str, Tensor]:
    """Every value of the network in PyTorch."""
    found: dict[str, Tensor] = {}

    def keep(node: Node, value: Tensor) -> None:
        found[node.name] = value

    with torch.inference_mode():
        network.run(images, keep)
    return found


def _is_apart(given: Tensor, expected: Tensor, form: ActivationFormat | None) -> bool:
    """Whether a value is another one, in integers by more than roundings that add up."""
    if form is None:
        return _far(given, expected)
    return not bool(((given - expected) / form.scale).abs().mean() <= ADDED_UP)


def _is_other(answers: Tensor, expected: Tensor, graph: Graph) -> bool:
    return _far(answers, expected, OTHER_FILE if graph.numerics else FLOAT_TOLERANCE)


def _batches(values: Tensor) -> tuple[Tensor, ...]:
    return torch.split(values.cpu(), BATCH)


def _is_shown(graph: Graph, node: Node) -> bool:
    """Whether the runtime has the value as such; what it fuses away must stay fused."""
    return node.op not in ("input", "constant") and not is_absorbed(graph, node)


def _answers(graph: Graph, images: Tensor) -> Tensor:
    with torch.inference_mode():
        answers: Tensor = GraphNetwork(graph).eval()(images)
    return answers


def _differing(network: GraphNetwork, images: Tensor, values: dict[str, Tensor]) -> list[str]:
    """The nodes that do not compute their `values` from the values before them, in the order of the graph."""
    found: list[str] = []

    def compare(node: Node, computed: Tensor) -> Tensor | None:
        given = values.get(node.name)
        if given is not None and _differs(computed, given, network.numerics.activations.get(node.name)):
            found.append(node.name)
        return given

    with torch.inference_mode():
        network.run(images, compare)
    return found


def _differs(computed: Tensor, given: Tensor, form: ActivationFormat | None) -> bool:
    if form is None:
        return _far(given, computed)
    steps = ((given - computed) / form.scale).abs().round()
    return bool((steps > 1).any() or (steps > 0).double().mean() > TIES)


def _far(given: Tensor, expected: Tensor, tolerance: float = FLOAT_TOLERANCE) -> bool:
    """Whether two float values are apart, or one is no number where the other is."""
    room = max(float(expected.max() - expected.min()), float(expected.abs().max()), 1e-6)
    return not bool(torch.allclose(given, expected, rtol=0, atol=tolerance * room, equal_nan=True))
