"""The objective of a search: accuracy, weighted by the used share of the budget.

"MnasNet: Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019), section 3: ACC · (LAT / T)^w, with w = α
if the latency is within the target T and w = β otherwise.
"""

from dataclasses import dataclass

from pocketcnn.errors import UsageError


@dataclass(frozen=True)
class Objective:
    """accuracy · (use / target)^w. `use` is the largest used share of any limit of the budget; in the paper, LAT / T.

    Attributes:
        alpha: the exponent w within the budget.
        beta: the exponent beyond the budget.
        target: the use to aim at: 1 for the budget, more if pruning follows.
    """

    alpha: float
    beta: float
    target: float = 1.0

    def reward(self, accuracy: float, use: float) -> float:
        """The reward of a network with this accuracy (0 to 1) and use."""
        if use <= 0:
            return accuracy
        ratio = use / self.target
        return float(accuracy * ratio ** (self.alpha if ratio <= 1 else self.beta))


ACCURACY = Objective(0.0, 0.0)
"""Accuracy only, as in NASNet."""

SOFT = Objective(-0.07, -0.07)
"""The paper's soft constraint: twice the latency must improve accuracy by about 5 %."""

SOFT_SMALL = Objective(-0.15, -0.15)
"""For small networks, whose accuracy changes faster with latency ("Searching for MobileNetV3", Howard et al., 2019, section
4)."""

HARD = Objective(0.0, -1.0)
"""The paper's hard constraint: no reward for being below the budget, a sharp penalty for being above."""

OBJECTIVES = {"accuracy": ACCURACY, "soft": SOFT, "soft-small": SOFT_SMALL, "hard": HARD}


def load_objective(name: str) -> Objective:
    """The objective with this name.

    Raises:
        UsageError: there is none.
    """
    if name not in OBJECTIVES:
        raise UsageError(f"There is no reward {name!r}; choose {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]
