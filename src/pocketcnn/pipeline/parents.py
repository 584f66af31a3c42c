"""Where the trained network comes from that `fit` brings within a budget: the zoo, or a supernet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocketcnn.compression.evaluator import absolute
from pocketcnn.data import ImageFolder
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.layers import inference_form
from pocketcnn.pipeline.candidates import PRUNABLE, Plan, propose
from pocketcnn.pipeline.compression_run import Pruner
from pocketcnn.pipeline.halving import race
from pocketcnn.pipeline.recipes import Sets, SetsBySize, Trainings
from pocketcnn.pipeline.strategies import budget_share, pruner_of
from pocketcnn.pipeline.supernet import (
    FAMILY,
    Known,
    candidate,
    learned,
    summary,
    supernet_epochs,
    supernet_plan,
    within,
)
from pocketcnn.pipeline.workspace import Say, Workspace
from pocketcnn.report.result import Candidate
from pocketcnn.search.supernet.choice import Choice
from pocketcnn.search.supernet.plan import SupernetPlan
from pocketcnn.search.supernet.predictor import require_predictor
from pocketcnn.targets import Budget

SCHEDULE = "progressive"


@dataclass(frozen=True)
class Quest:
    """What a parent is looked for with: images, budget, and how much may be trained."""

    folder: ImageFolder
    contract: InputContract
    budget: Budget
    trainings: Trainings
    sets: SetsBySize
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
    sets: Sets
    settings: dict[str, object]
    candidates: Sequence[Candidate]
    plan: Plan | None = None
    pruner: Pruner | None = None


def from_zoo(quest: Quest, networks: Sequence[str]) -> Parent:
    """The best of those networks of the zoo that come near the budget, by successive halving."""
    trainings, workspace, say = quest.trainings, quest.workspace, quest.say
    plans = propose(quest.contract, len(quest.folder.classes), quest.budget, trainings.effort.candidates, networks)
    say(f"{len(plans)} candidates: " + ", ".join(plan.name for plan in plans))
    winner, candidates = race(plans, lambda plan: quest.sets.at(plan.size), trainings, workspace, say)
    chosen, plan = quest.sets.at(winner.plan.size), winner.plan
    say(f"Training {plan.name}, the best of {len(plans)}")
    workspace.train("final", winner.network, chosen.train, chosen.val, trainings.final())
    module = inference_form(winner.network)
    network = GraphNetwork(capture(module, (1, *chosen.val.contract.shape)), quest.info(plan.name, plan.size))
    settings = trainings.final().model_dump(mode="json")
    limits = workspace.budget(f"{quest.budget} of {plan.name}", lambda: absolute(quest.budget, network.graph))
    return Parent(network, limits, chosen, settings, candidates, plan)


def from_supernet(quest: Quest) -> Parent:
    """The best sub-network of a supernet that keeps the budget, or that NetAdapt can bring there; trained on.

    As in `from_zoo`, both ends are tried: what keeps the budget as it is, and what overshoots it by what pruning recovers from.
    """
    require_predictor()
    trainings, workspace, say = quest.trainings, quest.workspace, quest.say
    sets = quest.sets.at((quest.contract.height, quest.contract.width))
    plan = supernet_plan(quest.contract, len(quest.folder.classes), [quest.budget])
    known, effort = learned(plan, SCHEDULE, sets, trainings, workspace, say), trainings.effort.supernet
    say(summary(known))
    largest = known.largest(quest.info(FAMILY, plan.sizes[0])).graph
    budget = workspace.budget(f"{quest.budget} of the supernet", lambda: absolute(quest.budget, largest))
    loose = Budget(tuple(replace(limit, bound=PRUNABLE * limit.bound) for limit in budget.limits))
    finalists = known.best(within(plan, budget), effort) + known.best(within(plan, loose), effort)
    finalists = sorted({found.choice: found for found in finalists}.values(), key=lambda found: -found.accuracy)
    choice = finalists[0].choice if finalists else plan.smallest
    say(f"Training {choice}, the best of {len(finalists)}")
    network = _trained_on(known, choice, quest)
    epochs = supernet_epochs(plan, SCHEDULE, trainings)
    candidates = [
        candidate(plan, number, found, epochs, chosen=number == 1) for number, found in enumerate(finalists, start=1)
    ]
    settings: dict[str, object] = {**trainings.final().model_dump(mode="json"), "choice": choice.as_dict()}
    settings |= {"width": plan.width, "schedule": SCHEDULE}
    pruner = _netadapt(budget, network, quest)
    return Parent(network, budget, quest.sets.at(choice.size), settings, candidates, pruner=pruner)


def _trained_on(known: Known, choice: Choice, quest: Quest) -> GraphNetwork:
    """A sub-network that is trained by itself from where the supernet left it, at the rate of a recovery."""
    sets, plan = quest.sets.at(choice.size), known.supernet.plan
    network = known.network(choice, sets, quest.info(_name(plan), choice.size))
    final = quest.trainings.final()
    recipe = final.with_(learning_rate=final.learning_rate / 2)
    quest.workspace.train("final", network, sets.train, sets.val, recipe)
    return network


def _name(plan: SupernetPlan) -> str:
    return f"{FAMILY} {plan.width:g}x"


def _netadapt(budget: Budget, network: GraphNetwork, quest: Quest) -> Pruner | None:
    """NetAdapt, where it can tell what a proposal would use of the budget; else the ranking."""
    try:
        budget_share(budget, network.graph)
    except UsageError as error:
        quest.say(f"Channels are pruned by one ranking, not by NetAdapt: {error}")
        return None
    return pruner_of("netadapt", quest.out)
