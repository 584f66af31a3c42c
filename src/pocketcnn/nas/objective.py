"""What a search maximizes: accuracy, weighed by how much of the budget a network uses.

"MnasNet: Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019), section 3: ACC · (LAT / T)^w, with w = α where
the target T is kept and w = β where it is missed.
"""

from dataclasses import dataclass

from pocketcnn.errors import UsageError


@dataclass(frozen=True)
class Objective:
    """accuracy · use^w. `use` is LAT / T of the paper, or the largest share that any limit of a budget is used by.

    Attributes:
        within: the exponent w where the budget is kept: α of the paper.
        beyond: the exponent where it is not: β.
        target: the use that is aimed at: the whole budget, or more where something is taken away later.
    """

    within: float
    beyond: float
    target: float = 1.0

    def reward(self, accuracy: float, use: float) -> float:
        """The reward of a network."""
        if use <= 0:
            return accuracy
        share = use / self.target
        return float(accuracy * share ** (self.within if share <= 1 else self.beyond))


ACCURACY = Objective(0.0, 0.0)
"""Accuracy alone, as NASNet was found."""

SOFT = Objective(-0.07, -0.07)
"""The paper's soft limit: twice the latency must bring about 5 % of accuracy."""

SOFT_SMALL = Objective(-0.15, -0.15)
"""For small networks, whose accuracy falls faster with latency ("Searching for MobileNetV3", Howard et al., 2019, section 4)."""

HARD = Objective(0.0, -1.0)
"""The paper's hard limit: no reward for being faster than asked, a sharp loss for being slower."""

OBJECTIVES = {"accuracy": ACCURACY, "soft": SOFT, "soft-small": SOFT_SMALL, "hard": HARD}


def load_objective(name: str) -> Objective:
    """The objective of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in OBJECTIVES:
        raise UsageError(f"There is no reward {name!r}; choose {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]
