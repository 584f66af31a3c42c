"""The budget evaluator: how much of a budget a network uses, whether it keeps it, and in which precision.

Everything that asks this asks here: pruning alone, every strategy of `compress`, `fit`, the searches and the delivery. They
differ in the source of a latency alone.
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
"""A latency below this share of its bound needs no new measurement for a network that does less work."""


@dataclass(frozen=True)
class BudgetUse:
    """The largest share of any limit, the precision that it is in, and the figures by their names, in base units."""

    share: float
    precision: Numerics
    figures: dict[str, float]


@dataclass(frozen=True)
class BudgetEvaluator:
    """Judges float networks by an absolute budget, each as it will be deployed.

    Limits are looked at in the order of the effort that their figures take, and no further than the question needs.

    Attributes:
        budget: without percentages; see `absolute`.
        source: of latencies.
        weights: the zeros and shared values that the method gives the weights. Shared values stay in float32.
        float_only: nothing will be quantized.
    """

    budget: Budget
    source: LatencySource = LatencySource.MEASURED
    weights: WeightCompression = UNCHANGED
    float_only: bool = False
    _fast_enough: dict[tuple[str, Limit], int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """(precision, limit) -> the most multiply-adds that were measured to be clearly fast enough."""

    def __post_init__(self) -> None:
        relative = [str(limit) for limit in self.budget.limits if limit.relative]
        if relative:
            raise ValueError(f"{', '.join(relative)} is relative to a parent: make the budget absolute first")

    @cached_property
    def precisions(self) -> tuple[Numerics, ...]:
        """The precisions that the network can be deployed in on every target of the budget, the most exact first.

        Raises:
            UsageError: weights are to share values, and a target runs no floating-point numbers.
        """
        able = [load_target(name).numerics for name in self.budget.targets]
        precisions = (
            tuple(precision for precision in PRECISIONS if all(precision in numerics for numerics in able))
            or PRECISIONS[:1]
        )
        if self.weights.cluster_bits is not None and "float32" not in precisions:
            raise UsageError(
                f"Shared weights are floating-point numbers, and the targets of this budget run {', '.join(precisions)} only. "
                "Leave --cluster-bits out: int8 weights are coded too (--entropy-code)."
            )
        return PRECISIONS[:1] if self.float_only or self.weights.cluster_bits is not None else precisions

    @property
    def measured(self) -> tuple[str, ...]:
        """The targets whose latencies are measured, network by network."""
        clocks = self._clocks.values()
        return tuple(name for name in self.budget.targets if any(each[name].measures for each in clocks))

    def precision(self, graph: Graph) -> Numerics | None:
        """The most exact precision in which `graph` keeps every limit, None if it does in none.

        A network with no more multiply-adds than one that was measured to be clearly fast enough is not measured again; the
        file that is delivered always is.
        """
        for precision in self._clocks:
            exceeded = self._exceeded(Deployed(graph, precision, self.weights))
            if exceeded is None:
                return precision
            if exceeded.quantity.row.in_all_precisions:
                return None
        return None

    def fits(self, graph: Graph) -> bool:
        """Whether `graph` keeps every limit in some precision."""
        return self.precision(graph) is not None

    def share(self, graph: Graph, *, enough: float = 0.0, hopeless: float = inf) -> float:
        """The largest share that `graph` uses of any limit, in the precision in which that is the least; kept at 1.

        Args:
            enough: a share that ends the search for a precision with a smaller one.
            hopeless: a share beyond which no other limit is looked at, which would take more effort.
        """
        least = inf
        for precision in reversed(self._telling):  # the smaller one keeps more budgets
            least = min(least, self._share(Deployed(graph, precision, self.weights), hopeless))
            if least <= enough:
                break
        return least

    def use(self, graph: Graph) -> BudgetUse:
        """The use in the precision in which `graph` fits best, with all figures of the budget, multiply-adds and parameters."""
        uses = [self._use(Deployed(graph, precision, self.weights)) for precision in self._telling]
        return min(uses, key=lambda use: use.share)

    @property
    def by_shape(self) -> bool:
        """Whether no figure looks at the values of weights."""
        counts = all(
            limit.target is not None or limit.quantity.row.effort is Effort.COUNT for limit in self.budget.limits
        )
        return counts and not self.measured and self._telling == PRECISIONS[:1]

    def madds_bound(self, graph: Graph) -> float | None:
        """The bound on multiply-adds where nothing else is limited and deployment adds none to `graph`; None otherwise.

        Whatever is narrowed from `graph` can then be judged without making its deployed form.
        """
        if any(limit.quantity is not Quantity.MACS for limit in self.budget.limits):
            return None
        added = count(in_precision(graph, "float32")).madds - total_madds(graph)  # of batch norms that no layer absorbs
        return None if added else self.budget.limits[0].bound

    @cached_property
    def _clocks(self) -> Mapping[Numerics, Mapping[str, LatencyModel]]:
        """By precision, the clock of each target; without the precisions of which a table has no measurements."""
        clocks: dict[Numerics, Mapping[str, LatencyModel]] = {}
        problems = []
        for precision in self.precisions:
            try:
                clocks[precision] = {
                    name: latency_model_of(name, precision, self.source) for name in self.budget.targets
                }
            except UsageError as error:
                problems.append(error)
        if not clocks:
            raise problems[0]
        return clocks

    @property
    def _telling(self) -> tuple[Numerics, ...]:
        """The precisions that make a difference to the limits, the most exact first."""
        precisions = tuple(self._clocks)
        return (
            precisions[:1] if all(limit.quantity.row.in_all_precisions for limit in self.budget.limits) else precisions
        )

    @cached_property
    def _by_effort(self) -> tuple[Limit, ...]:
        return tuple(sorted(self.budget.limits, key=lambda limit: limit.quantity.row.effort))

    def _value(self, limit: Limit, deployed: Deployed) -> float:
        if limit.target is None:
            return counted(deployed, limit.quantity).value
        return self._clocks[deployed.precision][limit.target].seconds(deployed)

    def _exceeded(self, deployed: Deployed) -> Limit | None:
        """The first limit that is not kept."""
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
        return limit.target is not None and self._clocks[deployed.precision][limit.target].measures

    def _is_known_fast(self, limit: Limit, deployed: Deployed) -> bool:
        most = self._fast_enough.get((deployed.precision, limit))
        return most is not None and deployed.cost.madds <= most

    def _share(self, deployed: Deployed, hopeless: float) -> float:
        share = 0.0
        for limit in self._by_effort:
            share = max(share, self._value(limit, deployed) / limit.bound)
            if share > hopeless:
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
        """The settings alone: it is sent to other processes."""
        return {name: getattr(self, name) for name in ("budget", "source", "weights", "float_only")} | {
            "_fast_enough": {}
        }


def absolute(budget: Budget, parent: Graph, source: LatencySource = LatencySource.MEASURED) -> Budget:
    """`budget` with its percentages made absolute by the figures of a float parent, whose weights stay as they are.

    A latency is that of the parent in float32, or in int8 where the target runs nothing else.

    Raises:
        UsageError: a latency is to be predicted, and there is no table for it.
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
    """The figures that `budget` asks for, of files that lie there; latencies are measured under `rule`."""
    return {
        limit.subject: counted(written, limit.quantity)
        if limit.target is None
        else latency(written, limit.target, rule)
        for limit in budget.limits
    }
