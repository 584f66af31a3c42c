"""The resource that automatic compression reduces: a figure of a graph that falls as channels are removed."""

from dataclasses import dataclass

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.pruning.bounds import Measure, float_evaluator, seconds_on, table_latency_of
from pocketcnn.cost.counting import total_madds
from pocketcnn.graph import Graph
from pocketcnn.targets import Budget


@dataclass(frozen=True)
class Resource:
    """A figure of a float graph as it is trained, batch normalization not folded.

    Attributes:
        name: for messages and records.
        use: the figure. Except for latencies, it must not grow when channels are removed.
        quantum: the smallest relevant amount, in the same unit; logarithms are taken relative to it.
        by_shape: `use` depends on shapes only. It then gets graphs without weight values, which is much faster.
        at_inference: batch normalization may be folded before `use` is called, which is faster still; see `MetaGraph`.
        per_madd: the use per multiply-add, if `use` is proportional to the total; no graph is then built. Else None.
        seconds: the predicted latency that `use` is or contains. It may rise when a channel is removed, which limits the
            useful widths (`PruningSpace.choices`). None if every removed channel saves something.
    """

    name: str
    use: Measure
    quantum: float = 1.0
    by_shape: bool = True
    at_inference: bool = False
    per_madd: float | None = None
    seconds: Measure | None = None


MADDS = Resource("multiply-adds", total_madds, per_madd=1.0)


def latency_on(target: str) -> Resource:
    """The latency of one image on a target, in seconds: predicted from its latency table, or estimated.

    Raises:
        UsageError: the target has no latency table, or does not support float networks.
    """
    seconds = table_latency_of(target)
    return Resource(f"latency@{target}", seconds, quantum=1e-9, at_inference=True, seconds=seconds)


def share_of_budget(graph: Graph, budget: str | Budget) -> Resource:
    """The largest share of any limit of `budget` that a graph uses; the budget is met at 1. Percentages are relative to
    `graph`.

    Raises:
        UsageError: the budget cannot be parsed, or limits the latency on a target without a latency table.
    """
    evaluator = float_evaluator(graph, budget)
    return resource_of(evaluator, graph, seconds_on(evaluator.budget.targets))


def resource_of(evaluator: BudgetEvaluator, graph: Graph, seconds: Measure | None = None) -> Resource:
    """The share of its budget that `evaluator` finds for graphs pruned from `graph`; the budget is met at 1.

    Args:
        evaluator: the budget evaluator.
        graph: the unpruned graph.
        seconds: the predicted latency, see `Resource`.

    Raises:
        UsageError: a latency is to be predicted, and its target has no latency table.
    """
    max_madds = evaluator.madds_bound(graph)
    return Resource(
        f"share of {evaluator.budget}",
        evaluator.share,
        quantum=1e-6,
        by_shape=evaluator.by_shape,
        at_inference=True,
        per_madd=None if max_madds is None else 1 / max_madds,
        seconds=seconds,
    )
