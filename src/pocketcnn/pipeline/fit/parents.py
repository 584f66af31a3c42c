"""The parent network of `fit`: trained from the zoo by successive halving, or taken from a supernet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocketcnn.compression.evaluator import absolute
from pocketcnn.data import ImageFolder
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.layers import reparameterize
from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.predictor import require_predictor
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.pipeline.candidates import PRUNABLE, CandidateNetwork, propose_candidates
from pocketcnn.pipeline.compress.strategies import budget_share, pruner_of
from pocketcnn.pipeline.compression_run import Pruner
from pocketcnn.pipeline.fit.successive_halving import successive_halving
from pocketcnn.pipeline.recipes import Splits, SplitsBySize, TrainingRecipes
from pocketcnn.pipeline.search.supernet import (
    FAMILY,
    TrainedSupernet,
    candidate,
    summary,
    supernet_epochs,
    supernet_plan,
    train_and_measure,
    within,
)
from pocketcnn.pipeline.workspace import Say, Workspace
from pocketcnn.records.result import Candidate
from pocketcnn.targets import Budget

SCHEDULE = "progressive"


@dataclass(frozen=True)
class FitRun:
    """The inputs of the selection of a parent: images, budget and training recipes."""

    folder: ImageFolder
    contract: InputContract
    budget: Budget
    trainings: TrainingRecipes
    sets: SplitsBySize
    workspace: Workspace
    say: Say
    out: Path

    def info(self, name: str, size: tuple[int, int]) -> ModelInfo:
        """Model information of a network with the input size (height, width)."""
        return ModelInfo(name=name, input=self.sets.at(size).val.contract, classes=self.folder.classes)


@dataclass(frozen=True)
class Parent:
    """A trained float network before compression.

    Attributes:
        limits: the budget without percentages, which refer to this network, or to the largest network of a supernet.
        sets: the images in its input size.
        settings: of its training, for the lineage.
        candidates: all networks that were considered.
        plan: the chosen candidate of the zoo; None for a supernet.
        pruner: its pruner, if not the ranking of all channels.
    """

    network: GraphNetwork
    limits: Budget
    sets: Splits
    settings: dict[str, object]
    candidates: Sequence[Candidate]
    plan: CandidateNetwork | None = None
    pruner: Pruner | None = None


def from_zoo(fit_run: FitRun, networks: Sequence[str]) -> Parent:
    """The best of `networks` that can keep the budget, selected by successive halving and trained to the end."""
    trainings, workspace, say = fit_run.trainings, fit_run.workspace, fit_run.say
    plans = propose_candidates(
        fit_run.contract, len(fit_run.folder.classes), fit_run.budget, trainings.effort.candidates, networks
    )
    say(f"{len(plans)} candidates: " + ", ".join(plan.name for plan in plans))
    winner, candidates = successive_halving(plans, lambda plan: fit_run.sets.at(plan.size), trainings, workspace, say)
    chosen, plan = fit_run.sets.at(winner.plan.size), winner.plan
    say(f"Training {plan.name}, the best of {len(plans)} candidates")
    workspace.train("final", winner.network, chosen.train, chosen.val, trainings.final())
    module = reparameterize(winner.network)
    network = GraphNetwork(capture(module, (1, *chosen.val.contract.shape)), fit_run.info(plan.name, plan.size))
    settings = trainings.final().model_dump(mode="json")
    limits = workspace.budget(f"{fit_run.budget} of {plan.name}", lambda: absolute(fit_run.budget, network.graph))
    return Parent(network, limits, chosen, settings, candidates, plan)


def from_supernet(fit_run: FitRun) -> Parent:
    """The best sub-network of a supernet that keeps the budget, or that NetAdapt can prune to it; trained further.

    As in `from_zoo`, candidates keep the budget, or exceed it by at most `PRUNABLE`.
    """
    require_predictor()
    trainings, workspace, say = fit_run.trainings, fit_run.workspace, fit_run.say
    sets = fit_run.sets.at((fit_run.contract.height, fit_run.contract.width))
    plan = supernet_plan(fit_run.contract, len(fit_run.folder.classes), [fit_run.budget])
    known, effort = train_and_measure(plan, SCHEDULE, sets, trainings, workspace, say), trainings.effort.supernet
    say(summary(known))
    largest = known.largest(fit_run.info(FAMILY, plan.sizes[0])).graph
    budget = workspace.budget(f"{fit_run.budget} of the supernet", lambda: absolute(fit_run.budget, largest))
    loose = Budget(tuple(replace(limit, bound=PRUNABLE * limit.bound) for limit in budget.limits))
    finalists = known.best(within(plan, budget), effort) + known.best(within(plan, loose), effort)
    finalists = sorted({found.choice: found for found in finalists}.values(), key=lambda found: -found.accuracy)
    choice = finalists[0].choice if finalists else plan.smallest
    say(f"Training {choice}, the best of {len(finalists)} sub-networks")
    network = _trained_on(known, choice, fit_run)
    epochs = supernet_epochs(plan, SCHEDULE, trainings)
    candidates = [
        candidate(plan, number, found, epochs, chosen=number == 1) for number, found in enumerate(finalists, start=1)
    ]
    settings: dict[str, object] = {**trainings.final().model_dump(mode="json"), "choice": choice.as_dict()}
    settings |= {"width": plan.width, "schedule": SCHEDULE}
    pruner = _netadapt(budget, network, fit_run)
    return Parent(network, budget, fit_run.sets.at(choice.size), settings, candidates, pruner=pruner)


def _trained_on(known: TrainedSupernet, choice: Subnetwork, fit_run: FitRun) -> GraphNetwork:
    """A sub-network, trained alone from its weights in the supernet, at half of the learning rate."""
    sets, plan = fit_run.sets.at(choice.size), known.supernet.plan
    network = known.network(choice, sets, fit_run.info(_name(plan), choice.size))
    final = fit_run.trainings.final()
    recipe = final.with_(learning_rate=final.learning_rate / 2)
    fit_run.workspace.train("final", network, sets.train, sets.val, recipe)
    return network


def _name(plan: SupernetPlan) -> str:
    return f"{FAMILY} {plan.width:g}x"


def _netadapt(budget: Budget, network: GraphNetwork, fit_run: FitRun) -> Pruner | None:
    """NetAdapt, if the latency tables that it needs exist; otherwise None, the ranking."""
    try:
        budget_share(budget, network.graph)
    except UsageError as error:
        fit_run.say(f"Channels are pruned by one ranking instead of NetAdapt: {error}")
        return None
    return pruner_of("netadapt", fit_run.out)
