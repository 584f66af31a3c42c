"""Successive halving: train all candidates a little, keep the better half, train those longer, until one is left.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", Figure 3.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from pocketcnn.cost import count
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.recipes import Splits, TrainingRecipes
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.records.result import Candidate


@dataclass
class HalvingCandidate:
    """A candidate in the race: its network so far, and what it scored."""

    plan: CandidateNetwork
    network: nn.Module
    rounds: list[tuple[int, float]] = field(default_factory=list)

    @property
    def score(self) -> tuple[float, int]:
        """Validation accuracy of the last round; between equals, the cheaper network."""
        return (self.rounds[-1][1], -count(self.plan.graph).madds)


def successive_halving(
    plans: Sequence[CandidateNetwork],
    sets_for: Callable[[CandidateNetwork], Splits],
    trainings: TrainingRecipes,
    workspace: Workspace,
    say: Callable[[str], None],
) -> tuple[HalvingCandidate, list[Candidate]]:
    """Train `plans` by successive halving; the winner, and the record of everybody."""
    entrants = [HalvingCandidate(plan, plan.build(trainings.seed, for_training=True)) for plan in plans]
    remaining = entrants
    for number in range(len(trainings.effort.rounds)):
        recipe = trainings.round(number)
        for entrant in remaining:
            sets = sets_for(entrant.plan)
            stage = f"round {number + 1}: {entrant.plan.name}"
            result = workspace.train(stage, entrant.network, sets.train, sets.val, recipe)
            trained = recipe.epochs + (entrant.rounds[-1][0] if entrant.rounds else 0)
            entrant.rounds.append((trained, result.val_accuracy))
        remaining = sorted(remaining, key=lambda entrant: entrant.score, reverse=True)
        say(_standing(number, remaining))
        if len(remaining) == 1:
            break
        remaining = remaining[: math.ceil(len(remaining) / 2)]
    winner = remaining[0]
    records = [entrant.plan.record(entrant.rounds, chosen=entrant is winner) for entrant in entrants]
    return winner, records


def _standing(number: int, ranked: Sequence[HalvingCandidate]) -> str:
    places = ", ".join(f"{entrant.plan.name} {entrant.rounds[-1][1]:.1%}" for entrant in ranked)
    return f"Round {number + 1}: {places}"
