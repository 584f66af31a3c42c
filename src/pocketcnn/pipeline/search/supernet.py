"""A supernet for a folder of images: its plan, its training in phases, and its best sub-networks for a budget.

All intermediate results are in the workspace, so that an interrupted run is resumed.
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
from pocketcnn.documents import read_record
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
"""Name of sub-networks in records, in place of the name of a network of the zoo."""

CALIBRATION = 512
"""Training images for recalibrating the batch norms of a sub-network."""

VALIDATION_IMAGES = 1024
"""Largest number of validation images for comparing sub-networks."""

NO_LIMIT_WIDTHS = {True: 0.25, False: 0.5}
"""Width for small (True) and larger (False) images if all limits are percentages, which refer to the largest sub-network."""

Sample = tuple[Subnetwork, float]
"""A sub-network and its accuracy without fine-tuning, from 0 to 1."""


def supernet_plan(contract: InputContract, classes: int, budgets: Sequence[Budget]) -> SupernetPlan:
    """The widest supernet whose middle sub-network keeps all `budgets`, so that there are smaller and larger ones to choose.

    If there is none, the narrowest supernet.
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
    """A captured sub-network with random weights, for counting its cost."""
    return capture(plan.build(choice).eval(), (1, plan.in_channels, *choice.size))


def supernet_epochs(plan: SupernetPlan, schedule: str, trainings: TrainingRecipes) -> int:
    """Total epochs of all phases."""
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
        say(
            f"Supernet, {phase.name}: {result.steps} steps, val accuracy of the largest network {result.val_accuracy:.1%}"
        )

    return train_phases(Supernet(plan, trainings.seed), phases_of(schedule, plan), train)


def held_out(sets: Splits) -> SubnetworkEvaluator:
    """The evaluator of sub-networks, with images in their largest size."""
    return SubnetworkEvaluator(sets.calibration(CALIBRATION), *evenly_spaced(sets.val, VALIDATION_IMAGES))


def measure_subnetworks(
    supernet: Supernet, judged_on: SubnetworkEvaluator, number: int, seed: int, workspace: Workspace
) -> tuple[Sample, ...]:
    """The accuracies of `number` sub-networks without fine-tuning: the largest, the smallest, and random ones."""
    store = workspace.folder / "subnetworks.json"
    rng = Random(seed)
    plan = supernet.plan
    choices = [plan.largest, plan.smallest, *(random_subnetwork(plan, rng) for _ in range(number - 2))][:number]
    advice = "Remove it, and the sub-networks are measured again."
    known = read_record(store, "list of accuracies", list[float], advice=advice) if store.is_file() else []
    for choice in choices[len(known) :]:
        known.append(accuracy_of(supernet, choice, judged_on))
        write_text(store, json.dumps(known))
    return tuple(zip(choices, known, strict=False))


@dataclass(frozen=True)
class FoundSubnetwork:
    """A sub-network that keeps a budget, with its predicted and its measured accuracy, both without fine-tuning."""

    choice: Subnetwork
    predicted: float
    accuracy: float


@dataclass(frozen=True)
class TrainedSupernet:
    """A trained supernet with the measured accuracies of some sub-networks."""

    supernet: Supernet
    samples: tuple[Sample, ...]
    judged_on: SubnetworkEvaluator
    seed: int

    @cached_property
    def predictor(self) -> AccuracyPredictor:
        """The accuracy predictor, fitted to the samples."""
        return AccuracyPredictor.fit(self.supernet.plan, self.samples, self.seed)

    def best(self, keeps: Callable[[Subnetwork], bool], effort: SupernetEffort) -> list[FoundSubnetwork]:
        """The sub-networks with the best predicted accuracy for which `keeps` is true, measured; the best first.

        The list is empty if there are none.
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
        """A sub-network as a separate network, with batch norms recalibrated on `sets`, the images in its size."""
        module = recalibrated(self.supernet, choice, sets.calibration(CALIBRATION))
        return GraphNetwork(capture(module, (1, *sets.val.contract.shape)), info)

    def largest(self, info: ModelInfo) -> GraphNetwork:
        """The largest network, the teacher of the others."""
        with torch.no_grad():
            return GraphNetwork(capture(self.supernet.largest.eval(), (1, *info.input.shape)), info)  # type: ignore[union-attr]


def train_and_measure(
    plan: SupernetPlan, schedule: str, sets: Splits, trainings: TrainingRecipes, workspace: Workspace, say: Say
) -> TrainedSupernet:
    """Train the supernet of `plan` as in `train_supernet`, and measure some of its sub-networks."""
    say(f"Supernet of width {plan.width:g}, from {plan.smallest} to {plan.largest}")
    supernet, judged_on = train_supernet(plan, schedule, sets, trainings, workspace, say), held_out(sets)
    number = trainings.effort.supernet.subnetworks
    return TrainedSupernet(
        supernet, measure_subnetworks(supernet, judged_on, number, trainings.seed, workspace), judged_on, trainings.seed
    )


def summary(known: TrainedSupernet) -> str:
    """The measured accuracies and the quality of the predictor, in one sentence."""
    accuracies = [accuracy for _, accuracy in known.samples]
    found = known.predictor.correlation
    rank = (
        "too few or too similar to judge the predictor"
        if found is None
        else f"predicted with a rank correlation of {found:.2f}"
    )
    return f"{len(accuracies)} sub-networks without training: {min(accuracies):.1%} to {max(accuracies):.1%}, {rank}"


def within(plan: SupernetPlan, budget: Budget) -> Callable[[Subnetwork], bool]:
    """A predicate: whether a sub-network keeps an absolute budget in a precision that all its targets support.

    Latencies are predicted if their targets have tables. They are measured later, by `shrink` and by the deployment.
    """
    evaluator = BudgetEvaluator(budget, LatencySource.EITHER)
    return lambda choice: evaluator.fits(graph_of(plan, choice))


def candidate(plan: SupernetPlan, number: int, found: FoundSubnetwork, epochs: int, *, chosen: bool) -> Candidate:
    """A sub-network as a record for the report; `epochs` is the length of the training of the supernet."""
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
