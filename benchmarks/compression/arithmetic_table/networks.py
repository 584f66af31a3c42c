"""A quantized network three times: simulated, in numpy's integers, and in ONNX Runtime."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from statistics import median

import numpy as np
import torch
from torch import Tensor

from pocketcnn.formats.onnx.qdq import is_absorbed
from pocketcnn.graph import Graph, GraphNetwork, Node
from pocketcnn.graph.integer import IntegerNetwork
from pocketcnn.graph.integer.arithmetic import dequantized
from pocketcnn.runtimes.intermediate_values import intermediate_values

FORMS = {"float32": True, "exact": False}
"""How sums are taken -> whether that is training mode."""

BATCH = 4
"""Images at a time: every value of the network is kept for them."""


@dataclass(frozen=True)
class Beside:
    """One form of the simulation beside ONNX Runtime, first each layer given the runtime's own inputs, then as a whole."""

    largest_step: float
    """The furthest that an integer of a layer is from the runtime's."""
    equal_by_layer: float
    """Share of integers that are equal."""
    layers_apart: int
    """Layers of which some integer is not."""
    equal_at_end: float
    """Share of the last stored value's integers that are equal when the whole network runs."""
    same_answer: float
    """Share of images for which both give the same class."""


@dataclass
class Tally:
    """What was counted of one form so far."""

    largest: float = 0.0
    integers: int = 0
    unequal: Counter[str] = field(default_factory=Counter)
    ends: list[bool] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)

    def beside(self) -> Beside:
        """The shares."""
        return Beside(
            largest_step=self.largest,
            equal_by_layer=1 - self.unequal.total() / self.integers,
            layers_apart=sum(count > 0 for count in self.unequal.values()),
            equal_at_end=sum(self.ends) / len(self.ends),
            same_answer=sum(self.answers) / len(self.answers),
        )


def besides(graph: Graph, images: Tensor) -> dict[str, Beside]:
    """Every form of the simulation beside the exported file."""
    tallies = {form: Tally() for form in FORMS}
    for batch in torch.split(images, BATCH):
        answer, values = intermediate_values(graph, _stored(graph), batch, "onnxruntime")
        for form, training in FORMS.items():
            _count(tallies[form], GraphNetwork(graph).train(training), batch, answer, values)
    return {form: tally.beside() for form, tally in tallies.items()}


def _stored(graph: Graph) -> list[str]:
    """The values that the runtime has as integers."""
    formats = graph.numerics.activations
    named = [node for node in graph.nodes if node.name in formats and node.op != "input"]
    return [node.name for node in named if not is_absorbed(graph, node)]


def _count(tally: Tally, network: GraphNetwork, images: Tensor, answers: Tensor, values: Mapping[str, Tensor]) -> None:
    last, formats = list(values)[-1], network.numerics.activations

    def steps(name: str, computed: Tensor) -> Tensor:
        return ((computed - values[name]) / formats[name].scale).abs().round()

    def compare(node: Node, computed: Tensor) -> Tensor | None:
        if node.name not in values:
            return None
        off = steps(node.name, computed)
        tally.largest = max(tally.largest, float(off.max()))
        tally.integers += off.numel()
        tally.unequal[node.name] += int((off > 0).sum())
        return values[node.name]

    def keep(node: Node, computed: Tensor) -> None:
        if node.name == last:
            tally.ends += (steps(last, computed) == 0).flatten().tolist()

    with torch.inference_mode():
        network.run(images, compare)
        tally.answers += (network.run(images, keep).argmax(1) == answers.argmax(1)).tolist()


def values(graph: Graph) -> int:
    """Values of all nodes for one image."""
    return sum(prod(node.shape) for node in graph.nodes)


def unequal(graph: Graph, images: Tensor) -> int:
    """How many values of all nodes the simulation and numpy's integers do not have in common, to the last bit."""
    simulated: dict[str, np.ndarray] = {}
    counts: list[int] = []

    def compare(node: Node, value: np.ndarray) -> None:
        form = graph.numerics.activations.get(node.name)
        numbers = value if form is None else dequantized(value, form)
        counts.append(int((numbers != simulated[node.name]).sum()))

    with torch.inference_mode():
        GraphNetwork(graph).eval().run(images, lambda node, value: simulated.update({node.name: value.numpy()}))
    IntegerNetwork(graph).run(images.numpy(), compare)
    return sum(counts)


def seconds(graph: Graph, images: Tensor, repeats: int = 5) -> dict[str, float]:
    """Median time of each form for one image; the forms take turns."""
    network = GraphNetwork(graph)
    found: dict[str, list[float]] = {name: [] for name in FORMS}
    for _ in range(repeats):
        for name, training in FORMS.items():
            network.train(training)
            start = time.perf_counter()
            with torch.inference_mode():
                network(images)
            found[name].append((time.perf_counter() - start) / len(images))
    return {name: median(times) for name, times in found.items()}
