"""A supernet on a folder of images: which one, its training phase by phase, and its best sub-networks for a budget.

Everything goes through the workspace, so that what was stopped goes on where it was.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import torch

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.latency import LatencySource
from pocketcnn.cost import count
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.models.small_images import is_small, total_stride_for
from pocketcnn.nas.supernet.evaluation import SubnetworkEvaluator, accuracy_of, recalibrated
from pocketcnn.nas.supernet.evolution import EvolutionSettings, evolve
from pocketcnn.nas.supernet.network import Supernet
from pocketcnn.nas.supernet.plan import SupernetPlan, mobilenet_supernet
from pocketcnn.nas.supernet.predictor import AccuracyPredictor
from pocketcnn.nas.supernet.sampling import random_subnetwork
from pocketcnn.nas.supernet.schedule import Phase, phases_of, train_phases
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.pipeline.candidates import WIDTHS, sizes_of, worst_miss
from pocketcnn.pipeline.effort import SupernetEffort
from pocketcnn.pipeline.recipes import Splits, TrainingRecipes, evenly_spaced
from pocketcnn.pipeline.workspace import Say, Workspace
from pocketcnn.records.result import Candidate
from pocketcnn.targets import Budget

FAMILY = "once-for-all"
"""What sub-networks are called in the place of a network of the zoo."""

CALIBRATION = 512
"""Training images that give the batch norms of a sub-network their statistics."""

VALIDATION_IMAGES = 1024
"""Validation images that sub-networks are compared on, at most."""

NO_LIMIT_WIDTHS = {True: 0.25, False: 0.5}
"""The width for small and for larger images where a budget has percentages alone: they are of the largest sub-network."""

Sample = tuple[Subnetwork, float]
"""A sub-network and its accuracy without training, 0 to 1."""


def supernet_plan(contract: InputContract, classes: int, budgets: Sequence[Budget]) -> SupernetPlan:
    """The widest supernet whose middle sub-network keeps all of `budgets`: so each has room above and below.

    Where there is none, the narrowest supernet, of which most sub-networks come near them.
    """
    small = is_small((contract.height, contract.width))
    if all(limit.relative for budget in budgets for limit in budget.limits):
        return _plan(NO_LIMIT_WIDTHS[small], contract, classes)
    plans = [_plan(width, contract, classes) for width in WIDTHS]
    fitting = plans[0]
    for plan in plans:
        graph = graph_of(plan, plan.middle)
        if any(worst_miss(graph, budget) > 1 for budget in budgets):
            break
        fitting = plan
    return fitting


def _plan(width: float, contract: InputContract, classes: int) -> SupernetPlan:
    size = (contract.height, contract.width)
    return mobilenet_supernet(
        width=width,
        in_channels=contract.channels,
        classes=classes,
        sizes=tuple(sizes_of(contract)),
        total_stride=total_stride_for(size),
        small=is_small(size),
    )


def graph_of(plan: SupernetPlan, choice: Subnetwork) -> Graph:
    """A sub-network captured with random weights: enough for every cost."""
    return capture(plan.build(choice).eval(), (1, plan.in_channels, *choice.size))


def supernet_epochs(plan: SupernetPlan, schedule: str, trainings: TrainingRecipes) -> int:
    """Epochs of all phases."""
    return sum(trainings.supernet(phase.share, phase.rate).epochs for phase in phases_of(schedule, plan))


def train_supernet(
    plan: SupernetPlan, schedule: str, sets: Splits, trainings: TrainingRecipes, workspace: Workspace, say: Say
) -> Supernet:
    """Train the supernet of `plan` phase by phase.

    Raises:
        UsageError: there is no such schedule.
        Interrupted: Ctrl-C; the work so far is kept.
    """

    def train(phase: Phase, supernet: Supernet) -> None:
        recipe = trainings.supernet(phase.share, phase.rate)
        result = workspace.train(f"supernet, {phase.name}", supernet, sets.train, sets.val, recipe)
        say(f"Supernet, {phase.name}: {result.steps} steps, the largest network is right on {result.val_accuracy:.1%}")

    return train_phases(Supernet(plan, trainings.seed), phases_of(schedule, plan), train)


def held_out(sets: Splits) -> SubnetworkEvaluator:
    """The images of the largest size by which sub-networks are judged."""
    return SubnetworkEvaluator(sets.calibration(CALIBRATION), *evenly_spaced(sets.val, VALIDATION_IMAGES))


def measure_subnetworks(
    supernet: Supernet, judged_on: SubnetworkEvaluator, number: int, seed: int, workspace: Workspace
) -> tuple[Sample, ...]:
    """The accuracies of the largest, the smallest and random sub-networks, `number` in all, each without training."""
    store = workspace.folder / "subnetworks.json"
    rng = Random(seed)
    plan = supernet.plan
    wanted = [plan.largest, plan.smallest, *(random_subnetwork(plan, rng) for _ in range(number - 2))][:number]
    known: list[float] = json.loads(store.read_text()) if store.is_file() else []
    for choice in wanted[len(known) :]:
        known.append(accuracy_of(supernet, choice, judged_on))
        write_text(store, json.dumps(known))
    return tuple(zip(wanted, known, strict=False))


@dataclass(frozen=True)
class FoundSubnetwork:
    """A sub-network that keeps a budget: the accuracy that was predicted for it, and the one it has without training."""

    choice: Subnetwork
    predicted: float
    accuracy: float


@dataclass(frozen=True)
class TrainedSupernet:
    """A trained supernet, and what was measured of it."""

    supernet: Supernet
    samples: tuple[Sample, ...]
    judged_on: SubnetworkEvaluator
    seed: int

    @cached_property
    def predictor(self) -> AccuracyPredictor:
        """Fitted to the samples."""
        return AccuracyPredictor.fit(self.supernet.plan, self.samples, self.seed)

    def best(self, keeps: Callable[[Subnetwork], bool], effort: SupernetEffort) -> list[FoundSubnetwork]:
        """The sub-networks for which `keeps` holds that are predicted to be best, measured, the best first.

        Empty where it holds for none.
        """
        settings = EvolutionSettings(effort.population, effort.generations)
        ranked = evolve(self.supernet.plan, self.predictor, keeps, settings, self.seed)[: effort.finalists]
        if not ranked:
            return []
        predicted = self.predictor(ranked)
        found = [
            FoundSubnetwork(choice, float(value), accuracy_of(self.supernet, choice, self.judged_on))
            for choice, value in zip(ranked, predicted, strict=True)
        ]
        return sorted(found, key=lambda each: each.accuracy, reverse=True)

    def network(self, choice: Subnetwork, sets: Splits, info: ModelInfo) -> GraphNetwork:
        """A sub-network as a network of its own, its batch norms told the images of `sets`, which are of its size."""
        module = recalibrated(self.supernet, choice, sets.calibration(CALIBRATION))
        return GraphNetwork(capture(module, (1, *sets.val.contract.shape)), info)

    def largest(self, info: ModelInfo) -> GraphNetwork:
        """The largest network, the teacher of the others."""
        with torch.no_grad():
            return GraphNetwork(capture(self.supernet.largest.eval(), (1, *info.input.shape)), info)  # type: ignore[union-attr]


def train_and_measure(
    plan: SupernetPlan, schedule: str, sets: Splits, trainings: TrainingRecipes, workspace: Workspace, say: Say
) -> TrainedSupernet:
    """Train the supernet of `plan`, as `train_supernet`, and measure some of its sub-networks."""
    say(f"A supernet of width {plan.width:g}, from {plan.smallest} to {plan.largest}")
    supernet, judged_on = train_supernet(plan, schedule, sets, trainings, workspace, say), held_out(sets)
    number = trainings.effort.supernet.subnetworks
    return TrainedSupernet(
        supernet, measure_subnetworks(supernet, judged_on, number, trainings.seed, workspace), judged_on, trainings.seed
    )


def summary(known: TrainedSupernet) -> str:
    """What was measured, in a sentence."""
    accuracies = [accuracy for _, accuracy in known.samples]
    found = known.predictor.correlation
    rank = (
        "too few or too alike to judge the predictor"
        if found is None
        else f"predicted with a rank correlation of {found:.2f}"
    )
    return f"{len(accuracies)} sub-networks without training: {min(accuracies):.1%} to {max(accuracies):.1%}, {rank}"


def within(plan: SupernetPlan, budget: Budget) -> Callable[[Subnetwork], bool]:
    """Whether a sub-network keeps an absolute budget in some precision that all its targets run, as `shrink` judges it.

    Latencies are predicted where their targets have tables; `shrink` and the delivery measure them.
    """
    evaluator = BudgetEvaluator(budget, LatencySource.EITHER)
    return lambda choice: evaluator.fits(graph_of(plan, choice))


def candidate(plan: SupernetPlan, number: int, found: FoundSubnetwork, epochs: int, *, chosen: bool) -> Candidate:
    """A sub-network as the report shows it; `epochs` are those of the supernet."""
    cost = count(graph_of(plan, found.choice))
    return Candidate(
        name=f"sub-network {number}, {found.choice.size[0]}x{found.choice.size[1]}",
        network=FAMILY,
        width=plan.width,
        input_size=found.choice.size,
        total_stride=plan.total_stride,
        params=cost.params,
        madds=cost.madds,
        rounds=((epochs, found.accuracy),),
        chosen=chosen,
    )
