"""How much of a budget a network would use, before it is trained: in the numerics in which it fits best."""

from dataclasses import dataclass
from functools import cache

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import Graph
from pocketcnn.pipeline.figures import artefact_bytes, counted, estimated, in_form, latency
from pocketcnn.pipeline.shrink import allowed_forms, telling_forms
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Budget, Quantity, load_target
from pocketcnn.targets.latency import LatencyPredictor, load_predictor


@dataclass(frozen=True)
class Use:
    """The largest share of any limit, the numerics that it is in, and the figures by their names, in base units."""

    share: float
    form: str
    figures: dict[str, float]


@dataclass(frozen=True)
class BudgetUse:
    """The use of an absolute budget.

    A latency is predicted from its target's table, measured where there is none, and estimated where the target is not here.
    """

    budget: Budget

    def __post_init__(self) -> None:
        relative = [limit for limit in self.budget.limits if limit.relative]
        if relative:
            raise UsageError(
                f"{relative[0]} is a share of a network that is there already, and a search has none: give a number."
            )

    @property
    def measured(self) -> tuple[str, ...]:
        """The targets whose latencies are measured, for lack of a table."""
        forms = allowed_forms(self.budget)
        present = [name for name in self.budget.targets if load_target(name).runtime is not None]
        return tuple(name for name in present if any(predictor(name, form) is None for form in forms))

    def of(self, graph: Graph) -> Use:
        """The use of a float graph."""
        return min((self._in(form, graph) for form in telling_forms(self.budget)), key=lambda use: use.share)

    def _in(self, form: str, graph: Graph) -> Use:
        deployed = in_form(graph, form)
        is_written = bool(self.budget.limits_on(Quantity.SIZE) or self.budget.targets)
        data = artefact_bytes(deployed) if is_written else b""
        found = counted(deployed, data)
        figures = {str(quantity): found[quantity].value for quantity in (Quantity.MACS, Quantity.PARAMS)}
        share = 0.0
        for limit in self.budget.limits:
            if limit.target is None:
                value, name = found[limit.quantity].value, str(limit.quantity)
            else:
                value, name = seconds(deployed, data, limit.target, form), f"{limit.quantity}@{limit.target}"
            figures[name] = value
            share = max(share, value / limit.bound)
        return Use(share, form, figures)


def seconds(deployed: Graph, data: bytes, target_name: str, form: str) -> float:
    """The latency of one image of a graph as it is deployed in `form`, with its ONNX file."""
    target = load_target(target_name)
    if target.runtime is None:
        return estimated(deployed, target).value
    clock = predictor(target_name, form)
    return latency(deployed, data, target_name).value if clock is None else clock.seconds(deployed)


@cache
def predictor(target_name: str, form: str) -> LatencyPredictor | None:
    """The predictor of a target that is here, None if it has no table that is true here."""
    numerics: Numerics = "int8" if form == "int8" else "float32"
    try:
        return load_predictor(load_target(target_name), numerics)
    except PocketcnnError:
        return None
