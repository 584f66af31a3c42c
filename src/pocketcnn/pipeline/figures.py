"""A network's figures for a budget, in the numerics that it would be deployed in: counted, written out, or measured."""

from contextlib import closing
from dataclasses import dataclass, field

from pocketcnn.compression.quantization import with_placeholder_formats
from pocketcnn.cost import count
from pocketcnn.graph import Graph, for_inference
from pocketcnn.graph.onnx_writer import to_onnx
from pocketcnn.runtimes import StopRule, get_runtime, measure
from pocketcnn.targets import Budget, Figure, Limit, Quantity, latency_figure, load_target
from pocketcnn.targets.limits import Subject
from pocketcnn.targets.measuring import example_batch

QUICK = StopRule(max_seconds=0.4, min_seconds=0.1)
"""For choosing: good enough to rank. The figures of a report are measured under the default rule."""

FORMS = ("float32", "int8")
"""The numerics that a network can be deployed in, the most exact first."""

CLEAR = 0.8
"""A latency below this share of its bound needs no new measurement for a network that does less work."""


def in_form(graph: Graph, form: str) -> Graph:
    """The graph as it would be deployed in `form`: folded, and for int8 with placeholder ranges."""
    if graph.numerics:
        return graph
    return for_inference(graph) if form == "float32" else with_placeholder_formats(graph)


def artefact_bytes(graph: Graph) -> bytes:
    """The deployable ONNX file of a graph, as bytes."""
    data: bytes = to_onnx(graph).SerializeToString(deterministic=True)
    return data


def counted(graph: Graph, artefact: bytes) -> dict[Subject, Figure]:
    """The figures that need no measurement, of a graph as it would be deployed."""
    cost = count(graph)
    return {
        Quantity.SIZE: Figure.counted(len(artefact), "bytes of the ONNX file"),
        Quantity.MACS: Figure.counted(cost.madds, "multiply-adds of convolutions and linear layers, for one image"),
        Quantity.PARAMS: Figure.counted(cost.params, "weights and biases, batch normalization folded"),
        Quantity.RAM: Figure.counted(cost.peak_activation_bytes, "activations alive at their peak, by liveness"),
    }


def measured(artefact: bytes, target_name: str, rule: StopRule = QUICK) -> Figure:
    """The latency of one image on a target, measured now."""
    target = load_target(target_name)
    with closing(get_runtime(target.runtime).build(artefact, threads=target.thread_count)) as session:
        return latency_figure(measure(session, example_batch(session), rule=rule))


def figures(
    graph: Graph, budget: Budget, artefact: bytes | None = None, rule: StopRule = QUICK
) -> dict[Subject, Figure]:
    """All figures that `budget` asks for, of a graph as it would be deployed (see `in_form`)."""
    data = artefact_bytes(graph) if artefact is None else artefact
    found = counted(graph, data)
    found.update({(Quantity.LATENCY, name): measured(data, name, rule) for name in budget.targets})
    return found


def absolute(budget: Budget, parent: Graph) -> Budget:
    """`budget` with its percentages made absolute by the float parent's figures."""
    if not any(limit.relative for limit in budget.limits):
        return budget
    found = figures(in_form(parent, "float32"), budget)
    return budget.resolve({subject: figure.value for subject, figure in found.items()})


@dataclass
class Judge:
    """Answers, for many networks cut from one parent, whether they keep a budget.

    Counted limits are looked at first, because a latency costs a measurement. A network with no more multiply-adds than
    one that was clearly fast enough is not measured again; the file that is delivered always is.
    """

    budget: Budget
    fast_enough: dict[tuple[str, Limit], int] = field(default_factory=dict)
    """(form, limit) -> the most multiply-adds that were clearly fast enough."""

    def fits(self, graph: Graph, form: str) -> bool:
        """Whether the network keeps every limit when it is deployed in `form`."""
        deployed = in_form(graph, form)
        data = artefact_bytes(deployed)
        found = counted(deployed, data)
        bounds = [limit for limit in self.budget.limits if limit.target is None]
        if any(found[limit.quantity].value > limit.bound for limit in bounds):
            return False
        madds = int(found[Quantity.MACS].value)
        return all(self._is_fast(limit, form, madds, data) for limit in self.budget.limits_on(Quantity.LATENCY))

    def _is_fast(self, limit: Limit, form: str, madds: int, data: bytes) -> bool:
        if madds <= self.fast_enough.get((form, limit), -1):
            return True
        latency = measured(data, str(limit.target)).value
        if latency <= CLEAR * limit.bound:
            self.fast_enough[form, limit] = madds
        return latency <= limit.bound

    def form(self, graph: Graph, forms: tuple[str, ...] = FORMS) -> str | None:
        """The first of `forms` in which the network keeps the budget, or None."""
        return next((form for form in forms if self.fits(graph, form)), None)
