"""The budget evaluator: what share of a budget a network uses, whether it meets the budget, and in which precision.

Pruning, every strategy of `compress`, `fit`, the searches and the final delivery all use it. They differ only in the source
of latencies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

from pocketcnn.compression.deployed import (
    PRECISIONS,
    UNCHANGED,
    Deployed,
    WeightCompression,
    Written,
    counted,
    first_precision,
    in_precision,
)
from pocketcnn.compression.latency import LatencyModel, LatencySource, latency, latency_model_of
from pocketcnn.cost import count
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph
from pocketcnn.runtimes import StopRule
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Budget, Figure, Limit, Quantity, load_target
from pocketcnn.targets.limits import Subject
from pocketcnn.targets.quantities import Effort

CLEARLY_FAST = 0.8
"""If a latency was measured below this share of its limit, networks with fewer multiply-adds are not measured again."""


@dataclass(frozen=True)
class BudgetUse:
    """The largest share of any limit, the precision in which it was found, and the figures by name, in base units."""

    share: float
    precision: Numerics
    figures: dict[str, float]


@dataclass(frozen=True)
class BudgetEvaluator:
    """Evaluates float networks against an absolute budget, each in the form in which it will be deployed.

    Limits are evaluated in the order of the effort that they take. Evaluation stops as soon as the result is certain.

    Attributes:
        budget: without percentages; see `absolute`.
        source: where latencies come from.
        weights: sparsity and clustering of the method. Clustered weights stay in float32.
        float_only: the network will not be quantized.
    """

    budget: Budget
    source: LatencySource = LatencySource.MEASURED
    weights: WeightCompression = UNCHANGED
    float_only: bool = False
    _fast_enough: dict[tuple[str, Limit], int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """(precision, limit) -> the largest number of multiply-adds that was measured to be clearly fast enough."""

    def __post_init__(self) -> None:
        relative = [str(limit) for limit in self.budget.limits if limit.relative]
        if relative:
            raise ValueError(f"{', '.join(relative)} is relative to a parent: make the budget absolute first")

    @cached_property
    def precisions(self) -> tuple[Numerics, ...]:
        """The precisions that every target of the budget supports, the most accurate first.

        Raises:
            UsageError: weights are to be clustered, and a target does not support floating-point numbers.
        """
        able = [load_target(name).numerics for name in self.budget.targets]
        precisions = (
            tuple(precision for precision in PRECISIONS if all(precision in numerics for numerics in able))
            or PRECISIONS[:1]
        )
        if self.weights.cluster_bits is not None and "float32" not in precisions:
            raise UsageError(
                f"Clustered weights are floating-point numbers, and the targets of this budget run {', '.join(precisions)} only. "
                "Remove --cluster-bits. int8 weights can be entropy-coded without it (--entropy-code)."
            )
        return PRECISIONS[:1] if self.float_only or self.weights.cluster_bits is not None else precisions

    @property
    def measured(self) -> tuple[str, ...]:
        """The targets on which the latency of each network is measured."""
        models = self._latency_models.values()
        return tuple(name for name in self.budget.targets if any(each[name].measures for each in models))

    def precision(self, graph: Graph) -> Numerics | None:
        """The most accurate precision in which `graph` meets every limit; None if there is none.

        If a network was measured to be clearly fast enough, networks with no more multiply-adds are not measured. The
        delivered file is always measured.
        """
        for precision in self._latency_models:
            exceeded = self._exceeded(Deployed(graph, precision, self.weights))
            if exceeded is None:
                return precision
            if exceeded.quantity.row.in_all_precisions:
                return None
        return None

    def fits(self, graph: Graph) -> bool:
        """Whether `graph` meets every limit in some precision."""
        return self.precision(graph) is not None

    def share(self, graph: Graph, *, stop_below: float = 0.0, stop_above: float = inf) -> float:
        """The largest share of any limit that `graph` uses, in its best precision; the budget is met at 1 or below.

        Args:
            stop_below: do not try a further precision once the share is at or below this.
            stop_above: do not evaluate further limits once the share is above this.
        """
        least = inf
        for precision in reversed(self._relevant_precisions):  # the smaller one keeps more budgets
            least = min(least, self._share(Deployed(graph, precision, self.weights), stop_above))
            if least <= stop_below:
                break
        return least

    def use(self, graph: Graph) -> BudgetUse:
        """The use of the budget in the best precision, with all figures of the budget, multiply-adds and parameters."""
        uses = [self._use(Deployed(graph, precision, self.weights)) for precision in self._relevant_precisions]
        return min(uses, key=lambda use: use.share)

    @property
    def by_shape(self) -> bool:
        """Whether all figures depend on shapes only, not on the values of weights."""
        counts = all(
            limit.target is not None or limit.quantity.row.effort is Effort.COUNT for limit in self.budget.limits
        )
        return counts and not self.measured and self._relevant_precisions == PRECISIONS[:1]

    def madds_bound(self, graph: Graph) -> float | None:
        """The limit on multiply-adds, if that is the only limit and deployment adds no multiply-adds to `graph`; else None.

        Graphs pruned from `graph` can then be evaluated without making their deployed form.
        """
        if any(limit.quantity is not Quantity.MACS for limit in self.budget.limits):
            return None
        added = count(in_precision(graph, "float32")).madds - total_madds(graph)  # of batch norms that cannot be folded
        return None if added else self.budget.limits[0].bound

    @cached_property
    def _latency_models(self) -> Mapping[Numerics, Mapping[str, LatencyModel]]:
        """By precision, the latency model of each target. Precisions that a latency table does not cover are left out."""
        models: dict[Numerics, Mapping[str, LatencyModel]] = {}
        problems = []
        for precision in self.precisions:
            try:
                models[precision] = {
                    name: latency_model_of(name, precision, self.source) for name in self.budget.targets
                }
            except UsageError as error:
                problems.append(error)
        if not models:
            raise problems[0]
        return models

    @property
    def _relevant_precisions(self) -> tuple[Numerics, ...]:
        """The precisions that can change the result, the most accurate first."""
        precisions = tuple(self._latency_models)
        return (
            precisions[:1] if all(limit.quantity.row.in_all_precisions for limit in self.budget.limits) else precisions
        )

    @cached_property
    def _by_effort(self) -> tuple[Limit, ...]:
        return tuple(sorted(self.budget.limits, key=lambda limit: limit.quantity.row.effort))

    def _value(self, limit: Limit, deployed: Deployed) -> float:
        if limit.target is None:
            return counted(deployed, limit.quantity).value
        return self._latency_models[deployed.precision][limit.target].seconds(deployed)

    def _exceeded(self, deployed: Deployed) -> Limit | None:
        """The first limit that is not met."""
        for limit in self._by_effort:
            if self._is_known_fast(limit, deployed):
                continue
            value = self._value(limit, deployed)
            if value > limit.bound:
                return limit
            if self._is_measured(limit, deployed) and value <= CLEARLY_FAST * limit.bound:
                self._fast_enough[deployed.precision, limit] = deployed.cost.madds
        return None

    def _is_measured(self, limit: Limit, deployed: Deployed) -> bool:
        return limit.target is not None and self._latency_models[deployed.precision][limit.target].measures

    def _is_known_fast(self, limit: Limit, deployed: Deployed) -> bool:
        fastest_madds = self._fast_enough.get((deployed.precision, limit))
        return fastest_madds is not None and deployed.cost.madds <= fastest_madds

    def _share(self, deployed: Deployed, stop_above: float) -> float:
        share = 0.0
        for limit in self._by_effort:
            share = max(share, self._value(limit, deployed) / limit.bound)
            if share > stop_above:
                break
        return share

    def _use(self, deployed: Deployed) -> BudgetUse:
        figures = {str(quantity): counted(deployed, quantity).value for quantity in (Quantity.MACS, Quantity.PARAMS)}
        share = 0.0
        for limit in self.budget.limits:
            value = self._value(limit, deployed)
            figures[f"{limit.quantity}@{limit.target}" if limit.target else str(limit.quantity)] = value
            share = max(share, value / limit.bound)
        return BudgetUse(share, deployed.precision, figures)

    def __getstate__(self) -> dict[str, object]:
        """The settings only, because the evaluator is sent to other processes."""
        return {name: getattr(self, name) for name in ("budget", "source", "weights", "float_only")} | {
            "_fast_enough": {}
        }


def absolute(budget: Budget, parent: Graph, source: LatencySource = LatencySource.MEASURED) -> Budget:
    """`budget` with its percentages replaced by absolute limits, relative to a float parent without weight compression.

    The latency of the parent is in float32, or in int8 if the target supports only that.

    Raises:
        UsageError: a latency is to be predicted, and its target has no latency table.
    """
    found: dict[Subject, float] = {}
    for limit in budget.limits:
        if not limit.relative:
            continue
        if limit.target is None:
            found[limit.subject] = counted(Deployed(parent), limit.quantity).value
        else:
            precision = first_precision(load_target(limit.target))
            found[limit.subject] = latency_model_of(limit.target, precision, source).seconds(
                Deployed(parent, precision)
            )
    return budget.resolve(found)


def figures(written: Written, budget: Budget, rule: StopRule) -> dict[Subject, Figure]:
    """The figures that `budget` limits, of a network whose files exist. Latencies are measured under `rule`."""
    return {
        limit.subject: counted(written, limit.quantity)
        if limit.target is None
        else latency(written, limit.target, rule)
        for limit in budget.limits
    }
