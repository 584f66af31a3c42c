"""Which layer of an exported network computes something else than PyTorch does.

Comparing every value of two runs would blame the wrong layer: an integer that is rounded the other way at a tie changes
what follows, and in a deep network half of the last values are a step apart although every layer is right. So each
layer is computed in PyTorch from the values that the runtime gave to it, and only its own result is compared.
"""

import torch
from torch import Tensor

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.onnx_qdq import is_absorbed
from pocketcnn.graph.onnx_writer import to_onnx
from pocketcnn.graph.passes.fold import for_inference
from pocketcnn.runtimes.onnxruntime_runtime import all_outputs

FLOAT_TOLERANCE = 1e-3
"""Share of a value's range."""

OTHER_FILE = 0.1
"""The same for the answers of an integer network, whose roundings add up."""

TIES = 0.25
"""Share of a value's integers that may be one step apart: where four numbers are averaged, so many lie between two steps."""

BATCH = 8
"""Images at a time: every value of the network is kept for them."""


def divergence(network: GraphNetwork, images: Tensor, outputs: Tensor) -> str | None:
    """The first difference between `network` and the file that gave `outputs` for `images`, or None.

    It is the first node, in the order of the graph, whose value differs from what PyTorch computes from the same
    inputs: in integers by more than one step anywhere or by one step at more than a quarter of its elements (`TIES`),
    in float by more than 1e-3 of its range. The values come from a second file, the same network with every value as
    an output; if its answers are others than `outputs`, or those of the folded network others than `network`'s, that is said.
    """
    graph = network.graph if network.numerics else for_inference(network.graph)
    if not network.numerics and _far(_answers(graph, images), _answers(network.graph, images)):
        return "folding of batch normalization"
    shown = [node.name for node in graph.nodes if _is_shown(graph, node)]
    model: bytes = to_onnx(graph, outputs=shown).SerializeToString()
    replay, places = GraphNetwork(graph).eval(), []
    for batch, expected in zip(_batches(images), _batches(outputs), strict=True):
        answers, *values = map(torch.from_numpy, all_outputs(model, batch.numpy()))
        if _far(answers, expected, OTHER_FILE if network.numerics else FLOAT_TOLERANCE):
            return "the file as a whole: this network exports to another one"
        places += [shown.index(name) for name in _differing(replay, batch, dict(zip(shown, values, strict=True)))[:1]]
    return shown[min(places)] if places else None


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
