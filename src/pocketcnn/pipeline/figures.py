"""A network's figures for a budget, in the numerics that it would be deployed in: counted, written out, or measured.

A latency on a target that no runtime here runs is estimated instead, and its figure says so.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from pocketcnn.compression.quantization import with_placeholder_formats
from pocketcnn.cost import count
from pocketcnn.graph import Graph, GraphNetwork, for_inference
from pocketcnn.graph.model_file import smallest_size
from pocketcnn.graph.onnx_writer import to_onnx
from pocketcnn.runtimes import Session, StopRule, get_runtime, measure
from pocketcnn.targets import Budget, Figure, Limit, Quantity, Target, latency_figure, load_target
from pocketcnn.targets.estimate import estimate, numerics_of
from pocketcnn.targets.limits import Subject
from pocketcnn.targets.measuring import example_batch, runtime_of

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


class CountedFigures(dict[Subject, Figure]):
    """Figures by what they are of. Those of the coded model file are found when they are first asked for: that takes long."""

    def __init__(self, graph: Graph, found: Mapping[Subject, Figure]) -> None:
        super().__init__(found)
        self._graph = graph

    def __missing__(self, subject: Subject) -> Figure:
        if subject is not Quantity.STORED:
            raise KeyError(subject)
        self[subject] = stored_figure(smallest_size(self._graph))
        return self[subject]


def stored_figure(size: int) -> Figure:
    """The bytes of a coded model file as a figure."""
    return Figure.counted(size, "bytes of the coded model file")


def counted(graph: Graph, artefact: bytes) -> CountedFigures:
    """The figures that need no measurement, of a graph as it would be deployed."""
    cost = count(graph)
    found: dict[Subject, Figure] = {
        Quantity.SIZE: Figure.counted(len(artefact), "bytes of the ONNX file"),
        Quantity.MACS: Figure.counted(cost.madds, "multiply-adds of convolutions and linear layers, for one image"),
        Quantity.PARAMS: Figure.counted(cost.params, "weights and biases, batch normalization folded"),
        Quantity.RAM: Figure.counted(cost.peak_activation_bytes, "activations alive at their peak, by liveness"),
    }
    return CountedFigures(graph, found)


def latency(graph: Graph, artefact: bytes, target_name: str, rule: StopRule = QUICK) -> Figure:
    """The latency of one image on a target: measured now, or estimated where the target is not here.

    `graph` is as it would be deployed, and `artefact` the ONNX file of it.
    """
    target = load_target(target_name)
    if target.runtime is None:
        return estimated(graph, target)
    with opened(graph, artefact, target) as session:
        return latency_figure(measure(session, example_batch(session), rule=rule))


def estimated(graph: Graph, target: Target) -> Figure:
    """The least latency on a target that is not here; no time at all will do in numerics that it does not run."""
    form = numerics_of(graph)
    if form not in target.numerics:
        return Figure(inf, inf, inf, f"{target.name} does not run {form}", estimated=True)
    return estimate(graph, target).figure()


@contextmanager
def opened(graph: Graph, artefact: bytes, target: Target) -> Iterator[Session]:
    """A session of a deployed graph on the runtime of `target`: of `artefact`, its ONNX file, or of what that runtime takes."""
    runtime = get_runtime(runtime_of(target))
    with tempfile.TemporaryDirectory() as folder:
        ready: object = artefact
        if runtime.suffix != ".onnx":
            ready = runtime.write(GraphNetwork(graph), Path(folder) / f"network{runtime.suffix}")
        with closing(runtime.build(ready, threads=target.thread_count)) as session:
            yield session


def figures(
    graph: Graph, budget: Budget, artefact: bytes | None = None, rule: StopRule = QUICK, stored: int | None = None
) -> dict[Subject, Figure]:
    """All figures that `budget` asks for, of a graph as it would be deployed (see `in_form`).

    `artefact` is its ONNX file and `stored` the bytes of its coded model file, where they are there already.
    """
    data = artefact_bytes(graph) if artefact is None else artefact
    found = counted(graph, data)
    if budget.limits_on(Quantity.STORED):
        found[Quantity.STORED] = stored_figure(smallest_size(graph) if stored is None else stored)
    found.update({(Quantity.LATENCY, name): latency(graph, data, name, rule) for name in budget.targets})
    return found


def absolute(budget: Budget, parent: Graph) -> Budget:
    """`budget` with its percentages made absolute by the float parent's figures.

    A latency is that of the parent in float32, or in int8 where the target runs nothing else.
    """
    if not any(limit.relative for limit in budget.limits):
        return budget
    deployed = in_form(parent, "float32")
    found = counted(deployed, artefact_bytes(deployed))
    if any(limit.relative for limit in budget.limits_on(Quantity.STORED)):
        found[Quantity.STORED] = stored_figure(smallest_size(deployed))
    for limit in budget.limits_on(Quantity.LATENCY):
        if limit.relative:
            form = in_form(parent, first_form(load_target(str(limit.target))))
            found[Quantity.LATENCY, str(limit.target)] = latency(form, artefact_bytes(form), str(limit.target))
    return budget.resolve({subject: figure.value for subject, figure in found.items()})


def first_form(target: Target) -> str:
    """The most exact numerics that `target` runs."""
    return next(form for form in FORMS if form in target.numerics)


def unchanged(graph: Graph) -> Graph:
    """`graph` itself."""
    return graph


@dataclass
class Judge:
    """Answers, for many networks cut from one parent, whether they keep a budget.

    Counted limits are looked at first, because a latency costs a measurement. A network with no more multiply-adds than
    one that was clearly fast enough is not measured again; the file that is delivered always is.
    """

    budget: Budget
    fast_enough: dict[tuple[str, Limit], int] = field(default_factory=dict)
    """(form, limit) -> the most multiply-adds that were clearly fast enough."""

    as_stored: Callable[[Graph], Graph] = unchanged
    """What a float network becomes before its file is written: pruned and shared weights, if that is asked for."""

    def fits(self, graph: Graph, form: str) -> bool:
        """Whether the network keeps every limit when it is deployed in `form`."""
        deployed = in_form(graph, form)
        found = counted(deployed, b"")
        if self._is_beyond(found, (Quantity.MACS, Quantity.PARAMS, Quantity.RAM)):
            return False
        is_written = any(self.budget.limits_on(quantity) for quantity in (Quantity.SIZE, Quantity.LATENCY))
        data = artefact_bytes(deployed) if is_written else b""  # writing it takes longer than all counting
        if any(len(data) > limit.bound for limit in self.budget.limits_on(Quantity.SIZE)):
            return False
        if any(
            smallest_size(self.as_stored(deployed)) > limit.bound for limit in self.budget.limits_on(Quantity.STORED)
        ):
            return False
        madds = int(found[Quantity.MACS].value)
        return all(
            self._is_fast(limit, form, madds, deployed, data) for limit in self.budget.limits_on(Quantity.LATENCY)
        )

    def _is_beyond(self, found: Mapping[Subject, Figure], quantities: Sequence[Quantity]) -> bool:
        return any(
            found[quantity].value > limit.bound for quantity in quantities for limit in self.budget.limits_on(quantity)
        )

    def _is_fast(self, limit: Limit, form: str, madds: int, graph: Graph, data: bytes) -> bool:
        if madds <= self.fast_enough.get((form, limit), -1):
            return True
        seconds = latency(graph, data, str(limit.target)).value
        if seconds <= CLEAR * limit.bound:
            self.fast_enough[form, limit] = madds
        return seconds <= limit.bound

    def form(self, graph: Graph, forms: tuple[str, ...] = FORMS) -> str | None:
        """The first of `forms` in which the network keeps the budget, or None."""
        first, *others = forms
        if self.fits(graph, first):
            return first
        if self._is_beyond(counted(in_form(graph, "float32"), b""), (Quantity.MACS, Quantity.PARAMS)):
            return None  # they are the same in all forms, of which some take long to make
        return next((form for form in others if self.fits(graph, form)), None)
