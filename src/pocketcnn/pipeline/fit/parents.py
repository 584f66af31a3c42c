"""Where the trained network comes from that `fit` brings within a budget: the zoo, or a supernet."""

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
    """What a parent is looked for with: images, budget, and how much may be trained."""

    folder: ImageFolder
    contract: InputContract
    budget: Budget
    trainings: TrainingRecipes
    sets: SplitsBySize
    workspace: Workspace
    say: Say
    out: Path

    def info(self, name: str, size: tuple[int, int]) -> ModelInfo:
        """Of a network for images of (height, width)."""
        return ModelInfo(name=name, input=self.sets.at(size).val.contract, classes=self.folder.classes)


@dataclass(frozen=True)
class Parent:
    """A trained float network that is to be brought within the budget.

    Attributes:
        limits: the budget with its percentages made absolute: by this network, or by the largest of a supernet.
        sets: the images in its size.
        settings: how it was made, for its lineage.
        candidates: everybody who was considered.
        plan: of a network of the zoo.
        pruner: what prunes it, if not the ranking of all channels.
    """

    network: GraphNetwork
    limits: Budget
    sets: Splits
    settings: dict[str, object]
    candidates: Sequence[Candidate]
    plan: CandidateNetwork | None = None
    pruner: Pruner | None = None


def from_zoo(fit_run: FitRun, networks: Sequence[str]) -> Parent:
    """The best of those networks of the zoo that come near the budget, by successive halving."""
    trainings, workspace, say = fit_run.trainings, fit_run.workspace, fit_run.say
    plans = propose_candidates(
        fit_run.contract, len(fit_run.folder.classes), fit_run.budget, trainings.effort.candidates, networks
    )
    say(f"{len(plans)} candidates: " + ", ".join(plan.name for plan in plans))
    winner, candidates = successive_halving(plans, lambda plan: fit_run.sets.at(plan.size), trainings, workspace, say)
    chosen, plan = fit_run.sets.at(winner.plan.size), winner.plan
    say(f"Training {plan.name}, the best of {len(plans)}")
    workspace.train("final", winner.network, chosen.train, chosen.val, trainings.final())
    module = reparameterize(winner.network)
    network = GraphNetwork(capture(module, (1, *chosen.val.contract.shape)), fit_run.info(plan.name, plan.size))
    settings = trainings.final().model_dump(mode="json")
    limits = workspace.budget(f"{fit_run.budget} of {plan.name}", lambda: absolute(fit_run.budget, network.graph))
    return Parent(network, limits, chosen, settings, candidates, plan)


def from_supernet(fit_run: FitRun) -> Parent:
    """The best sub-network of a supernet that keeps the budget, or that NetAdapt can bring there; trained on.

    As in `from_zoo`, both ends are tried: what keeps the budget as it is, and what overshoots it by what pruning recovers from.
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
    say(f"Training {choice}, the best of {len(finalists)}")
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
    """A sub-network that is trained by itself from where the supernet left it, at the rate of a recovery."""
    sets, plan = fit_run.sets.at(choice.size), known.supernet.plan
    network = known.network(choice, sets, fit_run.info(_name(plan), choice.size))
    final = fit_run.trainings.final()
    recipe = final.with_(learning_rate=final.learning_rate / 2)
    fit_run.workspace.train("final", network, sets.train, sets.val, recipe)
    return network


def _name(plan: SupernetPlan) -> str:
    return f"{FAMILY} {plan.width:g}x"


def _netadapt(budget: Budget, network: GraphNetwork, fit_run: FitRun) -> Pruner | None:
    """NetAdapt, where it can tell what a proposal would use of the budget; else the ranking."""
    try:
        budget_share(budget, network.graph)
    except UsageError as error:
        fit_run.say(f"Channels are pruned by one ranking, not by NetAdapt: {error}")
        return None
    return pruner_of("netadapt", fit_run.out)
