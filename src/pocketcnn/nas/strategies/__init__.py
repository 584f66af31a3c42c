"""Search strategies by name: how each proposes, on which space by default, what it is rewarded for, and what comes after it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pocketcnn.errors import UsageError
from pocketcnn.nas.objective import ACCURACY, HARD, SOFT, SOFT_SMALL, Objective
from pocketcnn.nas.space import Space
from pocketcnn.nas.strategies.base import RandomSearch, Strategy
from pocketcnn.nas.strategies.controller import Controller, ControllerSettings
from pocketcnn.nas.strategies.evolution import Evolution, EvolutionSettings
from pocketcnn.nas.strategies.halving import Halving
from pocketcnn.nas.strategies.nsga2 import Nsga2

CONTROL = "random"

ONCE_FOR_ALL = "once-for-all"
"""A strategy of another kind: one training of a supernet, see `pocketcnn.once_for_all`. It has no trials."""

OPTIONS = frozenset(
    {"space", "trials", "width", "reward", "epochs", "workers", "ray", "storage", "control", "warm_start"}
)
"""What a strategy that evaluates points one by one may read of the options of a search; images, budget, effort, seed and recipe
every strategy reads."""


@dataclass(frozen=True)
class StrategyConfig:
    """A strategy as a command knows it.

    Attributes:
        make: the strategy for a space and a number of whole evaluations.
        space: the space that is searched if no other is asked for.
        objective: what it is rewarded with.
        slack: how much of the budget the networks may use that it searches for; what is too much is taken away later.
        pruner: how that is done: a strategy of `compress`.
        transfers: whether the found point is transferred to the largest network of its cells that keeps the budget.
        reads: the `OPTIONS` that it reads; any other is refused.
    """

    make: Callable[[Space, int], Strategy]
    space: str = "mobilenet_v3"
    objective: Objective = HARD
    slack: float = 1.0
    pruner: str = "rank"
    transfers: bool = False
    reads: frozenset[str] = OPTIONS


def _controller(name: str) -> Callable[[Space, int], Strategy]:
    return lambda space, evaluations: Controller(space, name, ControllerSettings.fitting(evaluations))


STRATEGIES: Mapping[str, StrategyConfig] = MappingProxyType(
    {
        # proposes whatever was rewarded, and is the control itself
        CONTROL: StrategyConfig(lambda space, _: RandomSearch(space), reads=OPTIONS - {"reward", "control"}),
        "evolution": StrategyConfig(
            lambda space, evaluations: Evolution(space, EvolutionSettings.fitting(evaluations))
        ),
        "nsga2": StrategyConfig(  # keeps accuracy and use apart: no reward weighs them
            lambda space, evaluations: Nsga2(space, Nsga2.fitting(evaluations)), reads=OPTIONS - {"reward"}
        ),
        "halving": StrategyConfig(Halving),
        "nasnet": StrategyConfig(_controller("nasnet"), "nasnet", ACCURACY, transfers=True),
        "mnasnet": StrategyConfig(_controller("mnasnet"), "mnasnet", SOFT),
        "mobilenetv3": StrategyConfig(
            _controller("mobilenetv3"), "mobilenet_v3", SOFT_SMALL, slack=1.25, pruner="netadapt"
        ),
    }
)

OPTIONS_READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {**{name: plan.reads for name, plan in STRATEGIES.items()}, ONCE_FOR_ALL: frozenset()}
)
"""By strategy, the options that it reads of those that not every strategy reads."""


def strategy_config(name: str) -> StrategyConfig:
    """The strategy of that name.

    Raises:
        UsageError: there is none.
    """
    if name == ONCE_FOR_ALL:
        raise UsageError(
            f"{name} trains one supernet and has no trials. In Python: pocketcnn.once_for_all(data, budget, out)."
        )
    if name not in STRATEGIES:
        raise UsageError(f"There is no strategy {name!r}; choose {', '.join(STRATEGIES)}.")
    return STRATEGIES[name]
