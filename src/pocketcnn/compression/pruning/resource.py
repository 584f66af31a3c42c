"""What automatic compression spends: a figure of a graph that falls as its channels go."""

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
        name: for people and records.
        use: the figure; but for a latency in it, it should not grow when channels are removed.
        quantum: the least amount worth a thought, in the same unit; on a logarithmic scale the figure is compared with it.
        by_shape: `use` looks at nothing but shapes; it is then shown graphs without values, which is much faster.
        at_inference: batch normalization may be folded before `use` is asked, which is faster still; see `MetaGraph`.
        of_a_madd: the use of one multiply-add, where `use` is nothing but the sum over all of them; no graph needs to be made
            then to know it. None for anything else.
        seconds: the predicted latency that `use` is or looks at. It may rise when a channel goes, which decides what widths are
            worth having (`PruningSpace.choices`). None where every channel that goes saves something.
    """

    name: str
    use: Measure
    quantum: float = 1.0
    by_shape: bool = True
    at_inference: bool = False
    of_a_madd: float | None = None
    seconds: Measure | None = None


MADDS = Resource("multiply-adds", total_madds, of_a_madd=1.0)


def latency_on(target: str) -> Resource:
    """Seconds of one image on a target: predicted from its latency table, or estimated where the target is not here.

    Raises:
        UsageError: there is no latency table of the target, or it runs no float networks.
    """
    seconds = table_latency_of(target)
    return Resource(f"latency@{target}", seconds, quantum=1e-9, at_inference=True, seconds=seconds)


def share_of_budget(graph: Graph, budget: str | Budget) -> Resource:
    """The largest share that a graph uses of any limit of `budget`; the budget is kept at 1. Percentages are of `graph`.

    Raises:
        UsageError: the budget cannot be read, or limits the latency on a target without a table.
    """
    evaluator = float_evaluator(graph, budget)
    return resource_of(evaluator, graph, seconds_on(evaluator.budget.targets))


def resource_of(evaluator: BudgetEvaluator, graph: Graph, seconds: Measure | None = None) -> Resource:
    """The share of its budget that `evaluator` finds graphs to use that are narrowed from `graph`; kept at 1.

    Args:
        seconds: the predicted latency, see `Resource`.

    Raises:
        UsageError: a latency is to be predicted, and there is no table for it.
    """
    most = evaluator.madds_bound(graph)
    return Resource(
        f"share of {evaluator.budget}",
        evaluator.share,
        quantum=1e-6,
        by_shape=evaluator.by_shape,
        at_inference=True,
        of_a_madd=None if most is None else 1 / most,
        seconds=seconds,
    )
