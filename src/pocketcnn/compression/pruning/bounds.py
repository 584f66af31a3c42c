"""A budget as a bound on graphs that are pruned and stay in float: what they cost, counted or predicted without running them."""

from collections.abc import Callable
from dataclasses import dataclass

from pocketcnn.compression.deployed import Deployed
from pocketcnn.compression.evaluator import BudgetEvaluator, absolute
from pocketcnn.compression.latency import LatencySource, latency_model_of
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph
from pocketcnn.targets import Budget, load_target

Measure = Callable[[Graph], float]
"""What a graph costs, in base units."""


@dataclass(frozen=True)
class Bounds:
    """Upper bounds on what a graph costs, as checks that it must pass.

    `by_shape` tells that no check looks at values. `seconds` predicts the latency, if one is bounded: the sum of all
    targets' where there are several.
    """

    checks: tuple[Callable[[Graph], bool], ...]
    by_shape: bool
    seconds: Measure | None = None

    def fit(self, graph: Graph) -> bool:
        """Whether `graph` keeps all of them."""
        return all(check(graph) for check in self.checks)


def bounds_of(graph: Graph, budget: str | Budget) -> Bounds:
    """The limits of `budget`; percentages are of `graph`.

    A latency is predicted from the latency table of its target, or estimated where the target is not here.

    Raises:
        UsageError: the budget cannot be read, or limits the latency on a target without a table.
    """
    evaluator = float_evaluator(graph, budget)
    most = evaluator.madds_bound(graph)
    check = evaluator.fits if most is None else lambda narrowed: total_madds(narrowed) <= most
    return Bounds((check,), evaluator.by_shape, seconds_on(evaluator.budget.targets))


def float_evaluator(graph: Graph, budget: str | Budget) -> BudgetEvaluator:
    """What judges float networks that are pruned from `graph`. Raises as `bounds_of` does."""
    wanted = budget if isinstance(budget, Budget) else Budget.parse(budget)
    seconds_on(wanted.targets)  # they must run float networks
    source = LatencySource.PREDICTED
    return BudgetEvaluator(absolute(wanted, graph, source), source, float_only=True)


def table_latency_of(target_name: str) -> Measure:
    """Seconds of a float graph on a target, predicted or estimated.

    Raises:
        UsageError: the target runs no float networks, or there is no latency table of it.
    """
    target = load_target(target_name)
    if "float32" not in target.numerics:
        raise UsageError(
            f"{target.name} runs {', '.join(target.numerics)} only, and what is pruned is a float network. "
            "Limit multiply-adds instead, or use `pocketcnn compress`, which quantizes."
        )
    found = latency_model_of(target_name, "float32", LatencySource.PREDICTED)
    return lambda graph: found.seconds(Deployed(graph))


def seconds_on(targets: tuple[str, ...]) -> Measure | None:
    """The latency on all of some targets together; None of none. Raises as `table_latency_of` does."""
    return summed([table_latency_of(name) for name in targets])


def summed(clocks: list[Measure]) -> Measure | None:
    """The sum of some clocks; None of none."""
    return (lambda graph: sum(clock(graph) for clock in clocks)) if clocks else None
