"""The methods that are compared: each turns a task into a narrowed graph, before the fine-tuning that all get alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.compression.automatic_table.peer import torch_pruning
from benchmarks.compression.automatic_table.task import Task, table_clock
from pocketcnn.compression.pruning.allocation import Sensitivity
from pocketcnn.compression.pruning.amc import AmcSettings, UntrainedAccuracy, amc
from pocketcnn.compression.pruning.bounds import Measure
from pocketcnn.compression.pruning.netadapt import NetAdaptSettings, netadapt
from pocketcnn.compression.pruning.prune import PrunePlan, plan, sensitivity_of
from pocketcnn.compression.pruning.reconstruction import reconstruct
from pocketcnn.compression.pruning.schedule import Counts
from pocketcnn.compression.pruning.short_fine_tuning import ShortFineTuner, best_after_fine_tuning
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.errors import BudgetNotMet
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.training import recalibrate

Method = Callable[[Task], Graph]

SPREADS = ("rank", "uniform", "greedy")
"""Of these `best` takes the one whose network is best after a short training."""


def rank(task: Task) -> Graph:
    """All channels of the network in one ranking: what `compress` does unless told otherwise."""
    return _planned(task, "rank").apply(task.parent.graph)


def uniform(task: Task) -> Graph:
    """The same share of every layer."""
    return _planned(task, "uniform").apply(task.parent.graph)


def greedy(task: Task) -> Graph:
    """Layers that are sensitive when they are narrowed alone lose less (Li et al., 2017)."""
    return _planned(task, "greedy").apply(task.parent.graph)


def _planned(task: Task, allocation: str, seconds: Measure | None = None) -> PrunePlan:
    """What a spread chooses, in steps of the multiple or, with a predictor of the latency, of the widths that it likes."""
    settings = replace(task.channels, allocation="uniform") if allocation == "uniform" else task.channels
    return plan(
        task.parent.graph,
        task.fits,
        settings,
        batches=task.batches,
        by_shape=True,
        sensitivity=_sensitivity(task) if allocation == "greedy" else None,
        seconds=seconds,
    )


def _sensitivity(task: Task) -> Sensitivity:
    """Of the layers of the trained network; it is the same for every bound, so it is measured once."""

    def evaluate(graph: Graph) -> float:
        network = GraphNetwork(graph)
        recalibrate(network, task.statistics)
        return task.held_out.accuracy(network, task.setting.device)

    if task.cell.trained in task.sensitivities:
        found, task.notes["earlier_seconds"] = task.sensitivities[task.cell.trained]
        return found
    began = time.process_time()
    found = sensitivity_of(task.parent.graph, evaluate, task.channels, batches=task.batches)
    task.sensitivities[task.cell.trained] = found, time.process_time() - began
    return found


def best(task: Task) -> Graph:
    """`compress --allocation best` for a target that is here.

    Widths at the steps of its latency table, where there is one, and layers fitted anew to what they answered, by each
    spread; of these the one that is best after a short training.
    """
    seconds = table_clock()
    networks = {allocation: _mended(task, _planned(task, allocation, seconds)) for allocation in SPREADS}
    recipe, images = task.setting.contest(len(task.data.train), task.cell.seed)
    tuner = ShortFineTuner(task.data.train, task.held_out, recipe, images)
    chosen, _ = best_after_fine_tuning(networks, tuner)
    task.notes.update(chosen=chosen, short_training_steps=task.setting.contest_steps * len(SPREADS))
    return networks[chosen].graph


def _mended(task: Task, found: PrunePlan) -> GraphNetwork:
    whole = task.parent.graph
    images = task.data.evidence[0]
    network = GraphNetwork(reconstruct(whole, found.apply(whole), found.coupling, found.classes, images))
    recalibrate(network, task.statistics)
    return network


def random(task: Task) -> Graph:
    """A share of every layer drawn at random, all brought to the bound by one exponent."""
    drawn = np.random.default_rng(task.cell.seed).uniform(0.2, 1.0, len(task.space.max_counts))
    return task.space.prune(counts_at_bound(task.space, drawn, task.bound))


def counts_at_bound(space: PruningSpace, shares: np.ndarray, bound: float) -> Counts:  # type: ignore[type-arg]
    """What groups lose that keep `shares` to the power of about the smallest exponent that keeps the bound.

    Raises:
        BudgetNotMet: no exponent does.
    """
    _check_reach(space, bound)

    def counts(exponent: float) -> Counts:
        kept = shares**exponent
        return tuple(
            space.nearest_count(group, (1 - share) * space.units(group)) for group, share in enumerate(kept.tolist())
        )

    low, high = 0.0, 64.0
    for step in range(1, 64):  # a latency may rise when a channel goes: by halves from the first that fits
        if space.use(counts(step / 8)) <= bound:
            low, high = (step - 1) / 8, step / 8
            break
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if space.use(counts(middle)) <= bound else (middle, high)
    return counts(high) if space.use(counts(high)) <= bound else space.max_counts


def _check_reach(space: PruningSpace, bound: float) -> None:
    if (least := space.use(space.max_counts)) > bound:
        raise BudgetNotMet(f"The narrowest network uses {least:g}, more than {bound:g}.")


def net_adapt(task: Task, **rule: Any) -> Graph:
    """NetAdapt with short trainings; none where even the narrowest network is too much.

    `rule` are fields of `NetAdaptSettings` in place of those of the setting.
    """
    _check_reach(task.space, task.bound)
    recipe, images = task.setting.short(len(task.data.train), task.cell.seed)
    tuner = ShortFineTuner(task.data.train, task.held_out, recipe, images)
    given: dict[str, Any] = {"step": task.setting.step, "max_proposals": task.setting.tried, **rule}
    settings = NetAdaptSettings(**given, channels=task.channels)
    found = netadapt(task.parent, task.resource, task.bound, tuner, settings, batches=task.batches)
    if not found.met:
        raise BudgetNotMet("NetAdapt has nothing left to remove.")
    tuned = sum(len(step.proposals) for step in found.steps)
    task.notes.update(steps=len(found.steps), proposals=tuned, short_training_steps=tuned * task.setting.short_steps)
    return found.network.graph.rebuilt()


def learned(task: Task) -> Graph:
    """AMC: shares learned from accuracies without training."""
    judge = UntrainedAccuracy(task.space, task.held_out, task.statistics, device=task.setting.device)
    setting = task.setting
    settings = AmcSettings(setting.warmup, setting.episodes, seed=task.cell.seed, agent=setting.agent)
    found = amc(task.space, judge, task.bound, settings)
    tried = [episode.accuracy for episode in found.episodes]
    task.notes.update(
        episodes=len(tried),
        untrained_accuracy=found.policy.accuracy,
        untrained_best_of_warmup=max(tried[: task.setting.warmup]),
        untrained_actor=found.learned.accuracy,
    )
    return task.space.prune(found.policy.counts)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "rank": rank,
        "netadapt": net_adapt,
        "amc": learned,
        "uniform": uniform,
        "random": random,
        "greedy": greedy,
        "torch-pruning": torch_pruning,
        "best": best,
    }
)
