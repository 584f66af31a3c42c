"""Successive halving: train all candidates briefly, keep the better half, train these longer, until one is left.

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
    """A candidate of successive halving: its network, and (epochs trained so far, validation accuracy) after each round."""

    plan: CandidateNetwork
    network: nn.Module
    rounds: list[tuple[int, float]] = field(default_factory=list)

    @property
    def score(self) -> tuple[float, int]:
        """Validation accuracy after the last round; of equally accurate networks, the cheaper one is better."""
        return (self.rounds[-1][1], -count(self.plan.graph).madds)


def successive_halving(
    plans: Sequence[CandidateNetwork],
    sets_for: Callable[[CandidateNetwork], Splits],
    trainings: TrainingRecipes,
    workspace: Workspace,
    say: Callable[[str], None],
) -> tuple[HalvingCandidate, list[Candidate]]:
    """Train the candidates `plans` by successive halving; return the winner and the records of all candidates."""
    candidates = [HalvingCandidate(plan, plan.build(trainings.seed, for_training=True)) for plan in plans]
    remaining = candidates
    for number in range(len(trainings.effort.rounds)):
        recipe = trainings.round(number)
        for candidate in remaining:
            sets = sets_for(candidate.plan)
            stage = f"round {number + 1}: {candidate.plan.name}"
            result = workspace.train(stage, candidate.network, sets.train, sets.val, recipe)
            trained = recipe.epochs + (candidate.rounds[-1][0] if candidate.rounds else 0)
            candidate.rounds.append((trained, result.val_accuracy))
        remaining = sorted(remaining, key=lambda candidate: candidate.score, reverse=True)
        say(_ranking(number, remaining))
        if len(remaining) == 1:
            break
        remaining = remaining[: math.ceil(len(remaining) / 2)]
    winner = remaining[0]
    records = [candidate.plan.record(candidate.rounds, chosen=candidate is winner) for candidate in candidates]
    return winner, records


def _ranking(number: int, ranked: Sequence[HalvingCandidate]) -> str:
    accuracies = ", ".join(f"{candidate.plan.name} {candidate.rounds[-1][1]:.1%}" for candidate in ranked)
    return f"Round {number + 1}: {accuracies}"
