"""Which channels of a network go: the images that tell, the widths that the target likes, the spread over the layers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import exp

import torch
from torch import Tensor

from pocketcnn.compression.pruning.allocation import Sensitivity
from pocketcnn.compression.pruning.bounds import Measure, summed, table_latency_of
from pocketcnn.compression.pruning.prune import Fits, PrunePlan, PruneSettings, plan, sensitivity_of
from pocketcnn.compression.pruning.reconstruction import reconstruct
from pocketcnn.compression.pruning.short_fine_tuning import HeldOutImages, ShortFineTuner, best_after_fine_tuning
from pocketcnn.errors import BudgetNotMet, PocketcnnError
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.compression_method import BEST, SENSITIVE
from pocketcnn.pipeline.compression_run import CompressionRun
from pocketcnn.targets import Budget, load_target
from pocketcnn.training import Recipe, recalibrate

CRITERION_IMAGES = 1024
"""Training images that show what a channel is worth; they give the batch norms their statistics, too."""

BATCH = 64

DEFAULT_MULTIPLE = 8
"""Channel counts are rounded to this where the budget names no target that says what it likes."""

VALIDATION_IMAGES = 1024
"""Validation images that choose among networks, at most."""

SENSITIVITY_IMAGES = 128
"""Validation images that show how sensitive each layer is, and images that give batch norms their statistics for it."""

SENSITIVITY_RATIOS = (0.25, 0.5, 0.75)
"""Of a layer's channels: more would take minutes for networks of many layers."""

SHORT_RATE = 0.1
"""The learning rate of short fine-tuning, as a share of that of training from scratch."""

SELECTION_TIMES = 3
"""How many times as long as the short trainings of NetAdapt those that choose the spread are: there are but three."""


@dataclass(frozen=True)
class PruningConfig:
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
        return found if self.sensitivity is None else {**found, "allocation": SENSITIVE}


def pruning_config_of(run: CompressionRun) -> PruningConfig:
    """How the channels of the networks on this bench are ranked; spread over the layers as `resolve` says."""
    method, seconds = run.method, table_latency(run.budget)
    if seconds is not None:
        run.say(f"Channel counts are taken from the latency table of {', '.join(run.budget.targets)}")
    multiple = max([load_target(name).channel_multiple for name in run.budget.targets], default=DEFAULT_MULTIPLE)
    settings = PruneSettings(criterion=method.criterion, multiple=multiple, seed=run.trainings.seed)
    return PruningConfig(settings, *run.sets.evidence(CRITERION_IMAGES), seconds, method.reconstruct)


def resolve(how: PruningConfig, parent: GraphNetwork, fits: Fits, run: CompressionRun) -> PruningConfig:
    """`how` with the spread that the method names. ``best``: that which is best after a short training."""
    allocation = run.method.allocation
    if allocation == SENSITIVE:
        return with_sensitivity(how, parent, run)
    if allocation != BEST:
        return with_allocation(how, allocation)
    ways = {name: with_allocation(how, name) for name in ("global", "uniform")}
    ways[SENSITIVE] = with_sensitivity(how, parent, run)
    cuts = {name: plan_pruning(parent, fits, way) for name, way in ways.items()}
    able = {
        name: reconstruct_and_recalibrate(parent, cut, ways[name]) for name, cut in cuts.items() if cut.plan is not None
    }
    if not able:
        return ways["global"]  # the narrowest network is the same
    name, scores = best_after_fine_tuning(able, short_fine_tuner(run, SELECTION_TIMES))
    told = ", ".join(f"{name} {score.loss:.3f} ({score.top1:.1%})" for name, score in scores.items())
    run.say(f"Spread of the pruning: {name}. Loss on val after a short training: {told}")
    return ways[name]


def with_allocation(how: PruningConfig, allocation: str) -> PruningConfig:
    """The same narrowing by one of the spreads that need no measuring."""
    return replace(how, settings=replace(how.settings, allocation=allocation), sensitivity=None)


def with_sensitivity(how: PruningConfig, parent: GraphNetwork, run: CompressionRun) -> PruningConfig:
    """The same narrowing by the sensitivities of the layers of `parent`, measured on validation images."""
    held_out, images = held_out_of(run, SENSITIVITY_IMAGES), how.images[:SENSITIVITY_IMAGES]

    def evaluate(graph: Graph) -> float:
        network = GraphNetwork(graph)
        recalibrate(network, images)
        return exp(-held_out.score(network).loss)  # of few images finer than the share of right answers

    found = sensitivity_of(parent.graph, evaluate, how.settings, batches=how.batches, shares=SENSITIVITY_RATIOS)
    return replace(how, sensitivity=found)


def held_out_of(run: CompressionRun, images: int = VALIDATION_IMAGES) -> HeldOutImages:
    """Validation images as tensors."""
    return HeldOutImages.of(run.sets.val, images, run.trainings.seed)


def short_fine_tuner(run: CompressionRun, times: int = 1) -> ShortFineTuner:
    """Fine-tunes for the effort's `short_steps` optimizer steps, so many times."""
    trainings = run.trainings
    batch, steps = trainings.recovery().batch_size, times * trainings.effort.short_steps
    images = min(len(run.sets.train), steps * batch)
    epochs = max(1, round(steps * batch / images))
    recipe = short_recipe(trainings.base, batch, epochs, trainings.seed)
    return ShortFineTuner(run.sets.train, held_out_of(run), recipe, images)


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


def table_latency(budget: Budget) -> Measure | None:
    """The latency on the targets of `budget` by their tables; None where one has no table that is true here."""
    targets = [load_target(name) for name in budget.targets]
    if any(target.runtime is None for target in targets):
        return None  # a roofline has no steps
    try:
        return summed([table_latency_of(target.name) for target in targets])
    except PocketcnnError:
        return None


@dataclass(frozen=True)
class PrunedGraph:
    """A graph without its least important channels, and which these are: None where no choice fits, and this is the narrowest."""

    graph: Graph
    plan: PrunePlan | None


def plan_pruning(network: GraphNetwork, fits: Fits, how: PruningConfig) -> PrunedGraph:
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
        return PrunedGraph(tried[0], None)  # the search begins with the narrowest network
    return PrunedGraph(found.apply(whole), found)


def reconstruct_and_recalibrate(network: GraphNetwork, cut: PrunedGraph, how: PruningConfig) -> GraphNetwork:
    """What was cut from `network`, its layers fitted to what they answered there, its batch norms given their statistics."""
    graph = cut.graph
    if how.reconstruct and cut.plan is not None:
        graph = reconstruct(network.graph, graph, cut.plan.coupling, cut.plan.classes, how.images)
    narrower = GraphNetwork(graph, network.info)
    recalibrate(narrower, how.images)
    return narrower
