"""Searches in MobileNetV3's space for a measured latency, beside networks of the zoo that are scaled to that latency.

The budget is what a network of the zoo takes on this machine. Every network is measured in turns with that one, so that its
share of the budget does not depend on how fast the machine is at the moment.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from benchmarks.search_table.finals import ZOO, fully_trained, zoo_network
from benchmarks.search_table.material import Images, images, task
from benchmarks.search_table.points import TARGET, recipe_of
from benchmarks.search_table.setting import Setting
from pocketcnn.compression.deployed import artefact_bytes
from pocketcnn.compression.latency import opened
from pocketcnn.cost import count
from pocketcnn.graph import Graph, capture, for_inference
from pocketcnn.nas.space import Point, Space
from pocketcnn.nas.spaces import load_space
from pocketcnn.nas.trial import Evaluation, Proposal
from pocketcnn.pipeline.search.point_evaluator import shortened
from pocketcnn.runtimes import StopRule, compare
from pocketcnn.targets import load_target
from pocketcnn.targets.measuring import example_batch
from pocketcnn.training import drawn_from, train

SPACE = "mobilenet_v3"
ANCHOR = ("mobilenet_v2", 0.35)
"""The network whose latency is the budget."""

WIDTHS = (0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.4)
LOOKS = 9
"""Random points that tell at which width of the space half of its networks keep the budget."""

RULE = StopRule(warmup_seconds=0.02, min_seconds=0.1, max_seconds=0.5)
SLACK = 1.03
"""Measurements of one network differ by some percent: nobody is kept out by less."""


@dataclass(frozen=True)
class AtLatency:
    """The question on one set of images; `setting` is of its own size, see `sized`."""

    dataset: str
    setting: Setting
    width: float

    @cached_property
    def space(self) -> Space:
        """The space at the width."""
        return load_space(SPACE, self.width)

    @cached_property
    def data(self) -> Images:
        """The images."""
        return images(self.dataset, self.setting.side, self.setting.images)

    def network(self, places: Sequence[int], seed: int = 0) -> nn.Module:
        """The network of a point, given by the places of its choices."""
        return _built(self.space, self.space.at(places), self.setting, seed)

    def evaluate(self, proposal: Proposal, _number: int) -> Evaluation:
        """Train the point's network a little, and measure it."""
        network = _built(self.space, proposal.point, self.setting, 0)
        (_, ratio) = ratios([_anchor(self.setting), _graph(network, self.setting)])
        recipe = shortened(recipe_of(self.setting, self.setting.epochs), proposal.training)
        return Evaluation(train(network, self.data.train, self.data.val, recipe).val_accuracy, ratio)

    def final(self, places: Sequence[int], seed: int) -> dict[str, float]:
        """Accuracies of a point's network that is trained in full."""
        return fully_trained(self.network(places, seed), self.data, self.setting, seed)

    def final_of_zoo(self, name: str, width: float, seed: int) -> dict[str, float]:
        """The same of a network of the zoo."""
        return fully_trained(zoo_network(name, width, self.setting, seed), self.data, self.setting, seed)

    def measured(self, found: Sequence[Sequence[int]]) -> dict[str, dict[str, float]]:
        """All that were found and all forms of the zoo, in turns: latency, share of the budget, multiply-adds."""
        graphs = {name_of(places): _graph(self.network(places), self.setting) for places in found}
        for name in ZOO:
            for width in self.setting.zoo:
                graphs[f"{name} {width:g}"] = _graph(zoo_network(name, width, self.setting), self.setting)
        with ExitStack() as stack:
            sessions = [stack.enter_context(_session(graph)) for graph in (_anchor(self.setting), *graphs.values())]
            timed = compare(sessions, [example_batch(session) for session in sessions])
        figures = zip(graphs.items(), timed.latencies[1:], timed.ratios[1:], strict=True)
        return {
            name: {"seconds": latency.median, "use": ratio, "madds": count(graph).madds}
            for (name, graph), latency, ratio in figures
        }


def sized(setting: Setting) -> Setting:
    """The setting with the images and proxy trainings of these searches."""
    epochs = {"epochs": setting.latency_epochs, "final_epochs": setting.latency_final_epochs}
    return replace(setting, side=setting.latency_side, **epochs)


def fitting_width(setting: Setting) -> float:
    """The widest form of the space of which half of some random networks keep the budget."""
    best = WIDTHS[0]
    for width in WIDTHS:
        space, rng = load_space(SPACE, width), np.random.default_rng(0)
        graphs = [_graph(_built(space, space.random(rng), setting, 0), setting) for _ in range(LOOKS)]
        if float(np.median(ratios([_anchor(setting), *graphs])[1:])) > 1:
            break
        best = width
    return best


def ratios(graphs: Sequence[Graph]) -> tuple[float, ...]:
    """Latencies as shares of the first one's, measured in turns."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(_session(graph)) for graph in graphs]
        return tuple(compare(sessions, [example_batch(session) for session in sessions], rule=RULE).ratios)


def name_of(places: Sequence[int]) -> str:
    """A point as a key."""
    return " ".join(map(str, places))


def _built(space: Space, point: Point, setting: Setting, seed: int) -> nn.Module:
    with drawn_from(seed):
        return space.build(point, task(setting))


def _graph(network: nn.Module, setting: Setting) -> Graph:
    return for_inference(capture(network, (1, 1, setting.side, setting.side)))


def _anchor(setting: Setting) -> Graph:
    return _graph(zoo_network(*ANCHOR, setting), setting)


def _session(graph: Graph) -> Any:
    return opened(graph, artefact_bytes(graph), load_target(TARGET))
