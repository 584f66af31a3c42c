"""Search strategies by name, with their default space, objective, and what follows the search."""

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
"""A strategy of another kind: it trains one supernet and has no trials, see `pocketcnn.once_for_all`."""

OPTIONS = frozenset(
    {"space", "trials", "width", "reward", "epochs", "workers", "ray", "storage", "control", "warm_start"}
)
"""Options of a search that a strategy with trials may use. Images, budget, effort, seed and recipe are used by every
strategy."""


@dataclass(frozen=True)
class StrategyConfig:
    """The registration of a strategy.

    Attributes:
        make: builds the strategy from a space and a number of full evaluations.
        space: the default space.
        objective: the default objective.
        slack: the share of the budget that candidates may use; above 1, pruning follows the search.
        pruner: the strategy of `compress` that then prunes.
        choose: for the pruner ``netadapt``, which proposal a step keeps, see `CompressionMethod.choose`.
        always_prunes: a found network within the budget is widened to exceed it, so that the pruner sets all widths.
        transfers: whether the found point is transferred to the largest network of its cells that meets the budget.
        reads: the `OPTIONS` that it uses; others are rejected.
    """

    make: Callable[[Space, int], Strategy]
    space: str = "mobilenet_v3"
    objective: Objective = HARD
    slack: float = 1.0
    pruner: str = "rank"
    choose: str = "accuracy"
    always_prunes: bool = False
    transfers: bool = False
    reads: frozenset[str] = OPTIONS


def _controller(name: str) -> Callable[[Space, int], Strategy]:
    return lambda space, evaluations: Controller(space, name, ControllerSettings.fitting(evaluations))


STRATEGIES: Mapping[str, StrategyConfig] = MappingProxyType(
    {
        # ignores rewards, and is the baseline itself
        CONTROL: StrategyConfig(lambda space, _: RandomSearch(space), reads=OPTIONS - {"reward", "control"}),
        "evolution": StrategyConfig(
            lambda space, evaluations: Evolution(space, EvolutionSettings.fitting(evaluations))
        ),
        "nsga2": StrategyConfig(  # multi-objective: no reward combines accuracy and use
            lambda space, evaluations: Nsga2(space, Nsga2.fitting(evaluations)), reads=OPTIONS - {"reward"}
        ),
        "halving": StrategyConfig(Halving),
        "nasnet": StrategyConfig(_controller("nasnet"), "nasnet", ACCURACY, transfers=True),
        "mnasnet": StrategyConfig(_controller("mnasnet"), "mnasnet", SOFT),
        "mobilenetv3": StrategyConfig(  # block-wise search for the structure, then NetAdapt for the widths (section 4)
            _controller("mobilenetv3"),
            "mobilenet_v3",
            SOFT_SMALL,
            slack=1.25,
            pruner="netadapt",
            choose="ratio",
            always_prunes=True,
        ),
    }
)

OPTIONS_READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {**{name: plan.reads for name, plan in STRATEGIES.items()}, ONCE_FOR_ALL: frozenset()}
)
"""By strategy, the options that it uses among those that not every strategy uses."""


def strategy_config(name: str) -> StrategyConfig:
    """The strategy with this name.

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
