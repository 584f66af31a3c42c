"""Evolution over a supernet: the sub-networks that are predicted to be best among those that keep a budget.

"Once-for-All" (Cai et al., 2020), section 3.4; the loop is that of "Single Path One-Shot Neural Architecture Search with Uniform
Sampling" (Guo et al., 2020), algorithm 1: the best are crossed and mutated, and only what keeps the budget lives.
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
"""What some sub-networks are worth, higher is better."""

Fits = Callable[[Subnetwork], bool]
"""Whether a sub-network keeps the budget."""


@dataclass(frozen=True)
class EvolutionSettings:
    """The size of the evolution; the paper's: 100 in a population, 500 generations, mutation 0.1, a quarter become parents."""

    population: int = 100
    generations: int = 500
    mutation: float = 0.1
    parents: float = 0.25

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 0:
            raise UsageError("An evolution has a population of 2 or more, and 0 or more generations.")
        if not 0 < self.mutation <= 1 or not 0 < self.parents <= 1:
            raise UsageError("`mutation` and `parents` are shares above 0 and up to 1.")


@dataclass
class CachedFits:
    """Whether sub-networks keep the budget, each asked about once: that may take a measurement."""

    fits: Fits
    known: dict[Subnetwork, bool] = field(default_factory=dict)

    def __call__(self, choice: Subnetwork) -> bool:
        if choice not in self.known:
            self.known[choice] = self.fits(choice)
        return self.known[choice]


def evolve(
    plan: SupernetPlan, predict: Predict, fits: Fits, settings: EvolutionSettings | None = None, seed: int = 0
) -> list[Subnetwork]:
    """All sub-networks that came up and keep the budget, the one that is predicted to be best first.

    Empty where even the smallest does not keep it. What does not is made smaller, decision by decision, until it does: so the
    population lies along the budget and not far below it.
    """
    settings, rng, fits = settings or EvolutionSettings(), Random(seed), CachedFits(fits)
    if not fits(plan.smallest):
        return []
    worth: dict[Subnetwork, float] = {}

    def ranked(choices: Sequence[Subnetwork]) -> list[Subnetwork]:
        new = [choice for choice in dict.fromkeys(choices) if choice not in worth]
        if new:
            worth.update(zip(new, map(float, predict(new)), strict=True))
        return sorted(dict.fromkeys(choices), key=lambda choice: worth[choice], reverse=True)

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
    return ranked(list(worth))


def repaired(plan: SupernetPlan, choice: Subnetwork, fits: Fits, rng: Random) -> Subnetwork:
    """`choice`, with as few decisions taken to lower values in a random order as it takes to keep the budget.

    Whether a sub-network on that way keeps it is found by bisection: what costs less of everything keeps it more easily. The
    smallest sub-network must keep it.
    """
    if fits(choice):
        return choice
    way = list(shrinking_path(plan, choice, rng))
    above, below = 0, len(way) - 1  # the last one keeps the budget
    while below - above > 1:
        middle = (above + below) // 2
        if fits(way[middle]):
            below = middle
        else:
            above = middle
    return way[below]
