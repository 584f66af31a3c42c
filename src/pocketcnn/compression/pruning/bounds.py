"""A budget as bounds on float graphs, evaluated by counting or predicting, without running the network."""

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
"""The cost of a graph, in base units."""


@dataclass(frozen=True)
class Bounds:
    """Upper bounds on the cost of a graph.

    Attributes:
        checks: the bounds; a graph meets a bound if its check is true.
        by_shape: whether the checks depend on shapes only.
        seconds: the predicted latency if one is bounded, summed over all targets; else None.
    """

    checks: tuple[Callable[[Graph], bool], ...]
    by_shape: bool
    seconds: Measure | None = None

    def fit(self, graph: Graph) -> bool:
        """Whether `graph` meets all bounds."""
        return all(check(graph) for check in self.checks)


def bounds_of(graph: Graph, budget: str | Budget) -> Bounds:
    """The limits of `budget` as bounds; percentages are relative to `graph`.

    Latencies are predicted from the latency table of their target, or estimated if the target is not on this machine.

    Raises:
        UsageError: the budget cannot be parsed, or limits the latency on a target without a latency table.
    """
    evaluator = float_evaluator(graph, budget)
    max_madds = evaluator.madds_bound(graph)
    check = evaluator.fits if max_madds is None else lambda pruned: total_madds(pruned) <= max_madds
    return Bounds((check,), evaluator.by_shape, seconds_on(evaluator.budget.targets))


def float_evaluator(graph: Graph, budget: str | Budget) -> BudgetEvaluator:
    """The budget evaluator for float networks pruned from `graph`. Raises as `bounds_of` does."""
    wanted = budget if isinstance(budget, Budget) else Budget.parse(budget)
    seconds_on(wanted.targets)  # raises if one does not support float networks
    source = LatencySource.PREDICTED
    return BudgetEvaluator(absolute(wanted, graph, source), source, float_only=True)


def table_latency_of(target_name: str) -> Measure:
    """The latency function of float graphs on a target, in seconds: predicted or estimated.

    Raises:
        UsageError: the target does not support float networks, or has no latency table.
    """
    target = load_target(target_name)
    if "float32" not in target.numerics:
        raise UsageError(
            f"{target.name} runs {', '.join(target.numerics)} only, and pruning works on float networks. "
            "Limit multiply-adds instead, or use `pocketcnn compress`, which also quantizes."
        )
    found = latency_model_of(target_name, "float32", LatencySource.PREDICTED)
    return lambda graph: found.seconds(Deployed(graph))


def seconds_on(targets: tuple[str, ...]) -> Measure | None:
    """The sum of the latencies on all of `targets`; None if there are none. Raises as `table_latency_of` does."""
    return summed([table_latency_of(name) for name in targets])


def summed(measures: list[Measure]) -> Measure | None:
    """The sum of some measures; None if there are none."""
    return (lambda graph: sum(measure(graph) for measure in measures)) if measures else None
