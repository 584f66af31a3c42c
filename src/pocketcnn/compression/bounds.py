"""A budget as a bound on graphs: what the network that is being pruned costs, counted or predicted without running it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pocketcnn.compression.prune_report import total_madds
from pocketcnn.cost import count
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, for_inference
from pocketcnn.graph.model_file import smallest_size
from pocketcnn.graph.onnx_writer import to_onnx
from pocketcnn.targets import Budget, Quantity, load_target
from pocketcnn.targets.estimate import estimate
from pocketcnn.targets.latency import load_predictor

Measure = Callable[[Graph], float]
"""What a graph costs, in base units."""


def _file_size(graph: Graph) -> float:
    return float(to_onnx(for_inference(graph)).ByteSize())


def _stored_size(graph: Graph) -> float:
    return smallest_size(for_inference(graph))


COUNTED: Mapping[Quantity, Measure] = {
    Quantity.MACS: total_madds,
    Quantity.PARAMS: lambda graph: count(for_inference(graph)).params,
    Quantity.RAM: lambda graph: count(for_inference(graph)).peak_activation_bytes,
    Quantity.SIZE: _file_size,
    Quantity.STORED: _stored_size,
}
"""As a budget means them: of the float network as it is deployed, batch normalization folded."""


@dataclass(frozen=True)
class Bounds:
    """Upper bounds on what a graph costs: pairs of a measure and a bound.

    `by_shape` tells that no measure looks at values. `seconds` predicts the latency, if one is bounded: the sum of all
    targets' where there are several.
    """

    pairs: tuple[tuple[Measure, float], ...]
    by_shape: bool
    seconds: Measure | None = None

    def fit(self, graph: Graph) -> bool:
        """Whether `graph` keeps all of them."""
        return all(measure(graph) <= bound for measure, bound in self.pairs)


def bounds_of(graph: Graph, budget: str | Budget) -> Bounds:
    """The limits of `budget`; percentages are of `graph`.

    A latency is predicted from the latency table of its target, or estimated where the target is not here.

    Raises:
        UsageError: the budget cannot be read, or limits the latency on a target without a table.
    """
    wanted = budget if isinstance(budget, Budget) else Budget.parse(budget)
    clocks = {name: clock(name) for name in wanted.targets}
    pairs = []
    for limit in wanted.limits:
        measure = _counted(limit.quantity) if limit.target is None else clocks[limit.target]
        pairs.append((measure, limit.bound * measure(graph) if limit.relative else limit.bound))
    by_shape = not (wanted.limits_on(Quantity.SIZE) or wanted.limits_on(Quantity.STORED))
    return Bounds(tuple(pairs), by_shape, together(list(clocks.values())))


def _counted(quantity: Quantity) -> Measure:
    if quantity not in COUNTED:
        raise UsageError(
            f"Pruning alone cannot keep a limit on {quantity}, only on {', '.join(COUNTED)} and latency. "
            "`pocketcnn compress` does more than prune."
        )
    return COUNTED[quantity]


def clock(target_name: str) -> Measure:
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
    if target.runtime is None:
        return lambda graph: estimate(graph, target).seconds
    predictor = load_predictor(target)
    return lambda graph: predictor.seconds(for_inference(graph))


def together(clocks: list[Measure]) -> Measure | None:
    """The sum of some clocks; None of none."""
    return (lambda graph: sum(clock(graph) for clock in clocks)) if clocks else None
