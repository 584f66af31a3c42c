"""Which channels of a network go: the images that tell, the widths that the target likes, the spread over the layers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import exp

import torch
from torch import Tensor

from pocketcnn.compression.bounds import Measure, clock, together
from pocketcnn.compression.contest import best_after_tuning
from pocketcnn.compression.prune import Fits, PrunePlan, PruneSettings, plan, sensitivity_of
from pocketcnn.compression.reconstruction import reconstruct
from pocketcnn.compression.sensitivity import Sensitivity
from pocketcnn.compression.short_tuning import HeldOut, ShortTuner
from pocketcnn.errors import BudgetNotMet, PocketcnnError
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.compression_run import Bench
from pocketcnn.pipeline.method import BEST, SENSITIVE
from pocketcnn.targets import Budget, load_target
from pocketcnn.training import Recipe, recalibrate

EVIDENCE = 1024
"""Training images that show what a channel is worth; they give the batch norms their statistics, too."""

BATCH = 64

DEFAULT_MULTIPLE = 8
"""Channel counts are rounded to this where the budget names no target that says what it likes."""

JUDGED_ON = 1024
"""Validation images that choose among networks, at most."""

SENSED_ON = 128
"""Validation images that show how sensitive each layer is, and images that give batch norms their statistics for it."""

SENSED_SHARES = (0.25, 0.5, 0.75)
"""Of a layer's channels: more would take minutes for networks of many layers."""

SHORT_RATE = 0.1
"""The learning rate of short fine-tuning, as a share of that of training from scratch."""

CONTEST = 3
"""How many times as long as the short trainings of NetAdapt those that choose the spread are: there are but three."""


@dataclass(frozen=True)
class Narrowing:
    """How channels are chosen, on which images (N, C, H, W) with labels (N,), and what is done with those that are left."""

    settings: PruneSettings
    images: Tensor
    labels: Tensor
    seconds: Measure | None = None
    """Predicts the latency on the targets; widths are then those at which it has its steps."""
    reconstruct: bool = True
    sensitivity: Sensitivity | None = None
    """Of the layers, in place of the spread of the settings."""

    @cached_property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The images in small batches."""
        return list(zip(torch.split(self.images, BATCH), torch.split(self.labels, BATCH), strict=True))

    def record(self) -> dict[str, object]:
        """The settings as the record of a stage takes them."""
        found = {**asdict(self.settings), "keep": list(self.settings.keep)}
        return found if self.sensitivity is None else {**found, "spread": SENSITIVE}


def narrowing_of(bench: Bench) -> Narrowing:
    """How the channels of the networks on this bench are ranked; spread over the layers as `settled` says."""
    method, seconds = bench.method, table_clock(bench.budget)
    if seconds is not None:
        bench.say(f"Channel counts are taken from the latency table of {', '.join(bench.budget.targets)}")
    multiple = max([load_target(name).channel_multiple for name in bench.budget.targets], default=DEFAULT_MULTIPLE)
    settings = PruneSettings(criterion=method.criterion, multiple=multiple, seed=bench.trainings.seed)
    return Narrowing(settings, *bench.sets.evidence(EVIDENCE), seconds, method.reconstruct)


def settled(how: Narrowing, parent: GraphNetwork, fits: Fits, bench: Bench) -> Narrowing:
    """`how` with the spread that the method names. ``best``: that which is best after a short training."""
    spread = bench.method.spread
    if spread == SENSITIVE:
        return sensed(how, parent, bench)
    if spread != BEST:
        return with_spread(how, spread)
    ways = {name: with_spread(how, name) for name in ("global", "uniform")}
    ways[SENSITIVE] = sensed(how, parent, bench)
    cuts = {name: choose(parent, fits, way) for name, way in ways.items()}
    able = {name: mend(parent, cut, ways[name]) for name, cut in cuts.items() if cut.plan is not None}
    if not able:
        return ways["global"]  # the narrowest network is the same
    name, scores = best_after_tuning(able, short_tuner(bench, CONTEST))
    told = ", ".join(f"{name} {score.loss:.3f} ({score.top1:.1%})" for name, score in scores.items())
    bench.say(f"Spread of the pruning: {name}. Loss on val after a short training: {told}")
    return ways[name]


def with_spread(how: Narrowing, spread: str) -> Narrowing:
    """The same narrowing by one of the spreads that need no measuring."""
    return replace(how, settings=replace(how.settings, spread=spread), sensitivity=None)


def sensed(how: Narrowing, parent: GraphNetwork, bench: Bench) -> Narrowing:
    """The same narrowing by the sensitivities of the layers of `parent`, measured on validation images."""
    held_out, images = held_out_of(bench, SENSED_ON), how.images[:SENSED_ON]

    def evaluate(graph: Graph) -> float:
        network = GraphNetwork(graph)
        recalibrate(network, images)
        return exp(-held_out.score(network).loss)  # of few images finer than the share of right answers

    found = sensitivity_of(parent.graph, evaluate, how.settings, batches=how.batches, shares=SENSED_SHARES)
    return replace(how, sensitivity=found)


def held_out_of(bench: Bench, images: int = JUDGED_ON) -> HeldOut:
    """Validation images as tensors."""
    return HeldOut.of(bench.sets.val, images, bench.trainings.seed)


def short_tuner(bench: Bench, times: int = 1) -> ShortTuner:
    """Fine-tunes for the effort's `short_steps` optimizer steps, so many times."""
    trainings = bench.trainings
    batch, steps = trainings.recovery().batch_size, times * trainings.effort.short_steps
    images = min(len(bench.sets.train), steps * batch)
    epochs = max(1, round(steps * batch / images))
    recipe = short_recipe(trainings.base, batch, epochs, trainings.seed)
    return ShortTuner(bench.sets.train, held_out_of(bench), recipe, images)


def short_recipe(base: Recipe, batch: int, epochs: int, seed: int) -> Recipe:
    """A low rate, and no averaging of weights over so few steps."""
    return base.with_(
        epochs=epochs,
        batch_size=batch,
        learning_rate=base.learning_rate * SHORT_RATE,
        warmup_epochs=0.0,
        ema_decay=0.0,
        seed=seed,
    )


def table_clock(budget: Budget) -> Measure | None:
    """The latency on the targets of `budget` by their tables; None where one has no table that is true here."""
    targets = [load_target(name) for name in budget.targets]
    if any(target.runtime is None for target in targets):
        return None  # a roofline has no steps
    try:
        return together([clock(target.name) for target in targets])
    except PocketcnnError:
        return None


@dataclass(frozen=True)
class Cut:
    """A graph without its least important channels, and which these are: None where no choice fits, and this is the narrowest."""

    graph: Graph
    plan: PrunePlan | None


def choose(network: GraphNetwork, fits: Fits, how: Narrowing) -> Cut:
    """The least important channels of `network` go until it fits; or as many as may, where nothing does."""
    tried: list[Graph] = []

    def watched(graph: Graph) -> bool:
        tried.append(graph)
        return fits(graph)

    whole = network.graph
    try:
        found = plan(
            whole, watched, how.settings, batches=how.batches, sensitivity=how.sensitivity, seconds=how.seconds
        )
    except BudgetNotMet:
        return Cut(tried[0], None)  # the search begins with the narrowest network
    return Cut(found.apply(whole), found)


def mend(network: GraphNetwork, cut: Cut, how: Narrowing) -> GraphNetwork:
    """What was cut from `network`, its layers fitted to what they answered there, its batch norms given their statistics."""
    graph = cut.graph
    if how.reconstruct and cut.plan is not None:
        graph = reconstruct(network.graph, graph, cut.plan.coupling, cut.plan.classes, how.images)
    narrower = GraphNetwork(graph, network.info)
    recalibrate(narrower, how.images)
    return narrower
