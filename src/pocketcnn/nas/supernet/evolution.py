"""Evolutionary search over a supernet: the sub-networks with the best predicted accuracy within a budget.

"Once-for-All" (Cai et al., 2020), section 3.4. The loop is that of "Single Path One-Shot Neural Architecture Search with
Uniform Sampling" (Guo et al., 2020), algorithm 1: the best are crossed and mutated, and only sub-networks within the budget
survive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from pocketcnn.errors import UsageError
from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.sampling import crossed, mutated, random_subnetwork, shrinking_path
from pocketcnn.nas.supernet.subnetwork import Subnetwork

Predict = Callable[[Sequence[Subnetwork]], NDArray[np.float64]]
"""Predicted scores of sub-networks, higher is better."""

Fits = Callable[[Subnetwork], bool]
"""Whether a sub-network meets the budget."""


@dataclass(frozen=True)
class EvolutionSettings:
    """Size of the evolution. The paper: population 100, 500 generations, mutation 0.1, a quarter become parents."""

    population: int = 100
    generations: int = 500
    mutation: float = 0.1
    parents: float = 0.25

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 0:
            raise UsageError("An evolution needs a population of at least 2 and at least 0 generations.")
        if not 0 < self.mutation <= 1 or not 0 < self.parents <= 1:
            raise UsageError("`mutation` and `parents` must be shares above 0 and at most 1.")


@dataclass
class CachedFits:
    """Caches whether sub-networks meet the budget, because that may take a measurement."""

    fits: Fits
    cache: dict[Subnetwork, bool] = field(default_factory=dict)

    def __call__(self, choice: Subnetwork) -> bool:
        if choice not in self.cache:
            self.cache[choice] = self.fits(choice)
        return self.cache[choice]


def evolve(
    plan: SupernetPlan, predict: Predict, fits: Fits, settings: EvolutionSettings | None = None, seed: int = 0
) -> list[Subnetwork]:
    """All sub-networks found within the budget, the best predicted one first; empty if even the smallest misses it.

    Candidates that miss the budget are made smaller, decision by decision, until they meet it. So the population stays close
    to the budget.

    Args:
        plan: the search space.
        predict: predicted accuracies.
        fits: the budget.
        settings: size of the evolution.
        seed: of the random choices.
    """
    settings, rng, fits = settings or EvolutionSettings(), Random(seed), CachedFits(fits)
    if not fits(plan.smallest):
        return []
    predicted: dict[Subnetwork, float] = {}

    def ranked(choices: Sequence[Subnetwork]) -> list[Subnetwork]:
        new = [choice for choice in dict.fromkeys(choices) if choice not in predicted]
        if new:
            predicted.update(zip(new, map(float, predict(new)), strict=True))
        return sorted(dict.fromkeys(choices), key=lambda choice: predicted[choice], reverse=True)

    start = [plan.smallest] + [
        repaired(plan, random_subnetwork(plan, rng), fits, rng) for _ in range(settings.population - 1)
    ]
    population = ranked([repaired(plan, plan.largest, fits, rng), *start])
    for _ in range(settings.generations):
        parents = population[: max(2, round(settings.parents * settings.population))]
        children = []
        for number in range(settings.population - len(parents)):
            if number % 2:
                child = mutated(plan, rng.choice(parents), rng, settings.mutation)
            else:
                child = crossed(rng.choice(parents), rng.choice(parents), rng)
            children.append(repaired(plan, child, fits, rng))
        population = ranked(parents + children)
    return ranked(list(predicted))


def repaired(plan: SupernetPlan, choice: Subnetwork, fits: Fits, rng: Random) -> Subnetwork:
    """`choice` with as few decisions lowered, in random order, as needed to meet the budget.

    Bisection finds the first sub-network on the path that meets it: lowering a decision only reduces the cost. The smallest
    sub-network must meet the budget.
    """
    if fits(choice):
        return choice
    path = list(shrinking_path(plan, choice, rng))
    above, below = 0, len(path) - 1  # the last one meets the budget
    while below - above > 1:
        middle = (above + below) // 2
        if fits(path[middle]):
            below = middle
        else:
            above = middle
    return path[below]
