"""Channel pruning as a step of `compress`: images for the criterion, rounding of widths, allocation over the layers."""

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
"""Training images for the importance criterion and for recalibrating batch norms."""

BATCH = 64

DEFAULT_MULTIPLE = 8
"""Channel counts are rounded to a multiple of this if the budget names no target."""

VALIDATION_IMAGES = 1024
"""Largest number of validation images for comparing networks."""

SENSITIVITY_IMAGES = 128
"""Validation images for measuring the sensitivity of each layer, and training images for recalibrating batch norms."""

SENSITIVITY_RATIOS = (0.25, 0.5, 0.75)
"""Pruned shares of a layer at which its sensitivity is measured. More would take minutes for networks of many layers."""

SHORT_RATE = 0.1
"""Learning rate of short fine-tuning, as a share of that of training from scratch."""

SELECTION_TIMES = 3
"""Length of the fine-tuning that selects the allocation, in multiples of that of NetAdapt. There are only three of them."""


@dataclass(frozen=True)
class PruningConfig:
    """How channels are pruned: settings, images (N, C, H, W) with labels (N,) for the criterion, and reconstruction."""

    settings: PruneSettings
    images: Tensor
    labels: Tensor
    seconds: Measure | None = None
    """Predicts the latency on the targets in seconds. Channel counts are then chosen at the steps of the latency."""
    reconstruct: bool = True
    sensitivity: Sensitivity | None = None
    """Sensitivities of the layers, in place of the allocation of `settings`."""

    @cached_property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The images and labels in batches of `BATCH`."""
        return list(zip(torch.split(self.images, BATCH), torch.split(self.labels, BATCH), strict=True))

    def record(self) -> dict[str, object]:
        """The settings for the record of a stage."""
        found = {**asdict(self.settings), "keep": list(self.settings.keep)}
        return found if self.sensitivity is None else {**found, "allocation": SENSITIVE}


def pruning_config_of(run: CompressionRun) -> PruningConfig:
    """The pruning configuration of a run; `resolve` adds the allocation."""
    method, seconds = run.method, table_latency(run.budget)
    if seconds is not None:
        run.say(f"Channel counts are taken from the latency table of {', '.join(run.budget.targets)}")
    multiple = max([load_target(name).channel_multiple for name in run.budget.targets], default=DEFAULT_MULTIPLE)
    settings = PruneSettings(criterion=method.criterion, multiple=multiple, seed=run.trainings.seed)
    return PruningConfig(settings, *run.sets.evidence(CRITERION_IMAGES), seconds, method.reconstruct)


def resolve(config: PruningConfig, parent: GraphNetwork, fits: Fits, run: CompressionRun) -> PruningConfig:
    """`config` with the allocation of the method; for ``best``, the one with the lowest loss after short fine-tuning."""
    allocation = run.method.allocation
    if allocation == SENSITIVE:
        return with_sensitivity(config, parent, run)
    if allocation != BEST:
        return with_allocation(config, allocation)
    configs = {name: with_allocation(config, name) for name in ("global", "uniform")}
    configs[SENSITIVE] = with_sensitivity(config, parent, run)
    pruned = {name: plan_pruning(parent, fits, each) for name, each in configs.items()}
    fitting = {
        name: reconstruct_and_recalibrate(parent, graph, configs[name])
        for name, graph in pruned.items()
        if graph.plan is not None
    }
    if not fitting:
        return configs["global"]  # the narrowest network is the same for every allocation
    name, scores = best_after_fine_tuning(fitting, short_fine_tuner(run, SELECTION_TIMES))
    listed = ", ".join(f"{name} {score.loss:.3f} ({score.top1:.1%})" for name, score in scores.items())
    run.say(f"Allocation of the pruning: {name}. Validation loss after short fine-tuning: {listed}")
    return configs[name]


def with_allocation(config: PruningConfig, allocation: str) -> PruningConfig:
    """`config` with an allocation that needs no measurements, such as ``global``."""
    return replace(config, settings=replace(config.settings, allocation=allocation), sensitivity=None)


def with_sensitivity(config: PruningConfig, parent: GraphNetwork, run: CompressionRun) -> PruningConfig:
    """`config` with the sensitivities of the layers of `parent`, measured on validation images."""
    held_out, images = held_out_of(run, SENSITIVITY_IMAGES), config.images[:SENSITIVITY_IMAGES]

    def evaluate(graph: Graph) -> float:
        network = GraphNetwork(graph)
        recalibrate(network, images)
        return exp(-held_out.score(network).loss)  # on few images, finer than the accuracy

    sensitivity = sensitivity_of(
        parent.graph, evaluate, config.settings, batches=config.batches, shares=SENSITIVITY_RATIOS
    )
    return replace(config, sensitivity=sensitivity)


def held_out_of(run: CompressionRun, images: int = VALIDATION_IMAGES) -> HeldOutImages:
    """Up to `images` validation images as tensors, for comparing networks."""
    return HeldOutImages.of(run.sets.val, images, run.trainings.seed)


def short_fine_tuner(run: CompressionRun, times: int = 1) -> ShortFineTuner:
    """Fine-tunes for `times` the `short_steps` optimizer steps of the effort."""
    trainings = run.trainings
    batch, steps = trainings.recovery().batch_size, times * trainings.effort.short_steps
    images = min(len(run.sets.train), steps * batch)
    epochs = max(1, round(steps * batch / images))
    recipe = short_recipe(trainings.base, batch, epochs, trainings.seed)
    return ShortFineTuner(run.sets.train, held_out_of(run), recipe, images)


def short_recipe(base: Recipe, batch: int, epochs: int, seed: int) -> Recipe:
    """The recipe of short fine-tuning: a low learning rate, and no EMA of weights over so few steps."""
    return base.with_(
        epochs=epochs,
        batch_size=batch,
        learning_rate=base.learning_rate * SHORT_RATE,
        warmup_epochs=0.0,
        ema_decay=0.0,
        seed=seed,
    )


def table_latency(budget: Budget) -> Measure | None:
    """Predicts the sum of the latencies on the targets of `budget` from their tables; None without valid tables for all."""
    targets = [load_target(name) for name in budget.targets]
    if any(target.runtime is None for target in targets):
        return None  # a roofline estimate has no latency steps
    try:
        return summed([table_latency_of(target.name) for target in targets])
    except PocketcnnError:
        return None


@dataclass(frozen=True)
class PrunedGraph:
    """A graph without its least important channels, and the plan of their removal.

    The plan is None if no graph fits. Then `graph` is the narrowest one.
    """

    graph: Graph
    plan: PrunePlan | None


def plan_pruning(network: GraphNetwork, fits: Fits, config: PruningConfig) -> PrunedGraph:
    """Remove the least important channels of `network` until it fits; as many as possible if it never fits."""
    tried: list[Graph] = []

    def recorded_fits(graph: Graph) -> bool:
        tried.append(graph)
        return fits(graph)

    graph = network.graph
    try:
        pruning_plan = plan(
            graph,
            recorded_fits,
            config.settings,
            batches=config.batches,
            sensitivity=config.sensitivity,
            seconds=config.seconds,
        )
    except BudgetNotMet:
        return PrunedGraph(tried[0], None)  # the search tries the narrowest network first
    return PrunedGraph(pruning_plan.apply(graph), pruning_plan)


def reconstruct_and_recalibrate(network: GraphNetwork, pruned: PrunedGraph, config: PruningConfig) -> GraphNetwork:
    """The pruned network, with layers fitted to their outputs in `network` and batch norms recalibrated."""
    graph = pruned.graph
    if config.reconstruct and pruned.plan is not None:
        graph = reconstruct(network.graph, graph, pruned.plan.coupling, pruned.plan.classes, config.images)
    result = GraphNetwork(graph, network.info)
    recalibrate(result, config.images)
    return result
