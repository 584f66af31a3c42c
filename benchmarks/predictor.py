"""How well the latency of networks is predicted that were held out, beside simpler predictions.

    python -m benchmarks.predictor --target onnxruntime-cpu    # some 13 minutes, and 5 once to capture the networks

Run it on a machine that does nothing else. Profiles the target in slices unless its table is there; after each slice the
networks of latency_predictor/networks.py and those of latency_predictor/drawn.py, drawn anew from all of timm, have a turn. So a
machine that grows faster or slower does so for table and networks alike. Writes docs/benchmarks/predictor/TARGET.json and
docs/benchmarks/predictor.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.latency_predictor.controls import WORK, amounts, leave_one_out, lone_kernels, sum_of_lone
from benchmarks.latency_predictor.drawn import DRAWN, Drawn, drawn_from_timm
from benchmarks.latency_predictor.judging import judged
from benchmarks.latency_predictor.networks import held_out
from benchmarks.latency_predictor.page import OF_DRAWN, PREDICTOR, has_avx512, page
from pocketcnn.compression.deployed import in_precision
from pocketcnn.errors import PocketcnnError
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.latency.profile import REFERENCE, SETTLE
from pocketcnn.pipeline.latency.profile_apart import profile_apart
from pocketcnn.runtimes import Session, get_runtime
from pocketcnn.runtimes.base import FloatArray, Numerics
from pocketcnn.runtimes.timing import turn
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.latency import LatencyPredictor, LatencyTable, default_path
from pocketcnn.targets.latency.block_text import PooledWeights, build
from pocketcnn.targets.latency.kernels import Kernel
from pocketcnn.targets.measuring import example_batch, runtime_of

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
LONE = "sum of lone layers"


@dataclass
class Turns:
    """Networks of one target in one numerics, which stay loaded and have turns, beside the reference network."""

    target: Target
    form: Numerics
    folder: Path
    stack: ExitStack
    turn: float
    sessions: dict[str, tuple[Session, FloatArray]] = field(default_factory=dict)
    times: dict[str, list[np.ndarray]] = field(default_factory=dict)
    references: list[float] = field(default_factory=list)
    _reference: tuple[Session, FloatArray] | None = None

    def load(self, graphs: Mapping[str, Graph]) -> None:
        """Load what the runtime can run."""
        for name, graph in graphs.items():
            try:
                opened = self._opened(in_precision(graph, self.form), name)
                self._samples(*opened, 0.0, 1)  # a runtime may refuse what it could build
                self.sessions[name], self.times[name] = opened, []
            except PocketcnnError as error:
                say(f"{name} does not run: {error}")

    def round(self, times: int) -> None:
        """So many turns of each network."""
        if self._reference is None:
            self._reference = self._opened(build(REFERENCE, PooledWeights()), "reference")
        for _ in range(times):
            self.references.append(float(np.median(self._samples(*self._reference, 0.02))))
            for name, opened in self.sessions.items():
                self.times[name].append(self._samples(*opened, self.turn))

    def measured(self, usual: float) -> dict[str, tuple[float, float, float]]:
        """Median of the medians of the turns, and 10th and 90th percentile of all samples, in seconds.

        As if the reference network had taken `usual` seconds.
        """
        speed = usual / float(np.median(self.references))
        return {name: _figures(found, speed) for name, found in self.times.items()}

    def _opened(self, graph: Graph, name: str) -> tuple[Session, FloatArray]:
        runtime = get_runtime(runtime_of(self.target))
        path = self.folder / f"{self.form}-{abs(hash(name))}{runtime.suffix}"
        runtime.write(GraphNetwork(graph), path)
        session = self.stack.enter_context(closing(runtime.build(path, threads=self.target.thread_count)))
        return session, example_batch(session)

    def _samples(self, session: Session, batch: FloatArray, seconds: float, least: int = 3) -> np.ndarray:
        """Seconds of calls in one turn."""
        return np.array(turn(session, batch, settle=SETTLE, seconds=seconds, fewest=least))


def _figures(turns: list[np.ndarray], speed: float) -> tuple[float, float, float]:
    low, high = np.percentile(np.concatenate(turns), [10, 90])
    return float(np.median([np.median(samples) for samples in turns])) * speed, float(low) * speed, float(high) * speed


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")


def _say_passed(drawn: Drawn) -> None:
    say(f"passed over {drawn.name}: {drawn.reason}")


def main() -> int:
    options = _options()
    torch.set_num_threads(1)
    target = load_target(options.target)
    path = options.table or default_path(target.name)
    graphs = {name: network.graph for name, network in held_out(options.work, options.only)}
    graphs |= {
        f"{DRAWN}: {drawn.name}": drawn.network.graph
        for drawn in drawn_from_timm(options.drawn, options.seed, options.work, _say_passed)
        if drawn.network
    }
    say(f"{len(graphs)} networks held out")
    forms: dict[str, Any] = {}
    fitting = 0.0
    with TemporaryDirectory() as folder, ExitStack() as stack:
        numerics = [form for form in target.numerics if form in get_runtime(runtime_of(target)).numerics]
        turns = {form: Turns(target, form, Path(folder), stack, options.turn) for form in numerics}
        if not options.again:
            _in_slices(target, path, graphs, list(turns.values()), options)
        table = LatencyTable.load(path)
        usual = float(np.median([point.reference for point in table.points if point.ran]))
        for form in numerics:
            start = time.perf_counter()
            predictor = LatencyPredictor.fitted(table, form)
            fitting += time.perf_counter() - start
            if options.again:
                name = _file_name({"target": target.name, "circumstances": asdict(table.conditions)})
                before = json.loads((options.out / "predictor" / name).read_text())["numerics"][form]
                forms[form] = _judged_again(before, graphs, predictor)
            else:
                forms[form] = _compared(turns[form], graphs, predictor, usual, options.lone)
            forms[form]["points"] = len(table.steady(form))
    document = {
        "target": target.name,
        "circumstances": asdict(table.conditions),
        "table_seconds": table.seconds,
        "fit_seconds": fitting / len(forms),
        "seed": options.seed,
        "numerics": forms,
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    write_text(options.out / "predictor" / _file_name(document), f"{text}\n")
    documents = [json.loads(file.read_text()) for file in sorted((options.out / "predictor").glob("*.json"))]
    write_text(options.out / "predictor.md", page(documents))
    for tested, found in forms.items():
        for name, how in found["summary"].items():
            print(tested, name, {key: round(value, 4) for key, value in how.items()})
    return 0


def _in_slices(
    target: Target, path: Path, graphs: Mapping[str, Graph], turns: Sequence[Turns], options: argparse.Namespace
) -> None:
    """Measure the target's table in slices as far as it is missing; the networks have turns after each slice."""
    for form in turns:
        form.load(graphs)
    say("all loaded")
    there = LatencyTable.load(path).seconds if path.is_file() else 0.0
    missing = max(0.0, options.profile - there)
    for number in range(1, options.slices + 1):
        table = profile_apart(target, path, seconds=there + missing * number / options.slices)
        for form in turns:
            form.round(options.rounds)
        say(f"slice {number}: {len(table.points)} points from {table.seconds:.0f} s")


def _compared(
    turns: Turns, graphs: Mapping[str, Graph], predictor: LatencyPredictor, usual: float, lone_seconds: float
) -> dict[str, Any]:
    measured = turns.measured(usual)
    ran = {name: graphs[name] for name in measured}
    seconds = [measured[name][0] for name in ran]
    intervals = [predictor.predict(graph) for graph in ran.values()]
    predictions = {PREDICTOR: [found.total for found in intervals]}
    rows = [amounts(graph) for graph in ran.values()]
    for control, names in WORK.items():
        predictions[control] = leave_one_out(rows, names, seconds)
    summary = {name: judged(found, seconds) for name, found in predictions.items()}
    summary |= _of_drawn(list(ran), predictions[PREDICTOR], seconds)
    reference = {"table": usual, "now": float(np.median(turns.references))}
    lone = _lone_times(turns, ran, usual, lone_seconds)
    complete = [name for name in ran if lone_kernels([ran[name]]).keys() <= lone.keys()]
    if complete:
        sums = [sum_of_lone(ran[name], lone) for name in complete]
        summary[LONE] = judged(sums, [measured[name][0] for name in complete])
    networks = [
        {
            "name": name,
            "measured": measured[name][0],
            "p10": measured[name][1],
            "p90": measured[name][2],
            "low": intervals[index].low,
            "high": intervals[index].high,
            **rows[index],
            **{control: found[index] for control, found in predictions.items()},
            **({LONE: sum_of_lone(ran[name], lone)} if name in complete else {}),
        }
        for index, name in enumerate(ran)
    ]
    return {"summary": summary, "reference": reference, "networks": networks}


def _judged_again(
    before: Mapping[str, Any], graphs: Mapping[str, Graph], predictor: LatencyPredictor
) -> dict[str, Any]:
    """The record of an earlier run with what `predictor` says now of the networks that were measured then."""
    networks = []
    for row in before["networks"]:
        found = predictor.predict(graphs[row["name"]])
        networks.append({**row, PREDICTOR: found.total, "low": found.low, "high": found.high})
    predicted, measured = [row[PREDICTOR] for row in networks], [row["measured"] for row in networks]
    drawn = _of_drawn([row["name"] for row in networks], predicted, measured)
    summary = {**before["summary"], PREDICTOR: judged(predicted, measured), **drawn}
    return {**before, "summary": summary, "networks": networks}


def _of_drawn(names: Sequence[str], predicted: Sequence[float], measured: Sequence[float]) -> dict[str, Any]:
    """How good the predictor is at the networks that were drawn from timm, if there are some."""
    places = [place for place, name in enumerate(names) if name.startswith(f"{DRAWN}: ")]
    if not places:
        return {}
    return {OF_DRAWN: judged([predicted[place] for place in places], [measured[place] for place in places])}


def _file_name(document: Mapping[str, Any]) -> str:
    """``onnxruntime-cpu.json``; ``onnxruntime-cpu-avx2.json`` where the processor has no AVX-512."""
    return f"{document['target']}{'' if has_avx512(document) else '-avx2'}.json"


def _lone_times(turns: Turns, graphs: Mapping[str, Graph], usual: float, seconds: float) -> dict[Kernel, float]:
    """Times of single layers, of as many networks as there is time for, the shortest first."""
    times: dict[Kernel, float] = {}
    start = time.perf_counter()
    for graph in sorted(graphs.values(), key=lambda graph: len(graph.nodes)):
        missing = {
            str(kernel): (kernel, alone) for kernel, alone in lone_kernels([graph]).items() if kernel not in times
        }
        if time.perf_counter() - start > seconds:
            return times
        with ExitStack() as stack:
            alone = Turns(turns.target, turns.form, turns.folder, stack, turns.turn)
            alone.load({name: graph for name, (_, graph) in missing.items()})
            alone.round(3)
            found = alone.measured(usual)
        times |= {kernel: found[name][0] if name in found else 0.0 for name, (kernel, _) in missing.items()}
    return times


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="onnxruntime-cpu")
    parser.add_argument("--table", type=Path, help="its latency table; in the user's cache unless given")
    parser.add_argument("--profile", type=float, default=540.0, help="seconds that the table must have taken")
    parser.add_argument("--slices", type=int, default=6, help="that the table is measured in, the networks in between")
    parser.add_argument("--turn", type=float, default=0.05, help="seconds of a network's turn")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each network after a slice")
    parser.add_argument("--lone", type=float, default=20.0, help="seconds to measure lone layers, for each numerics")
    parser.add_argument(
        "--again", action="store_true", help="measure nothing: predict again what an earlier run measured"
    )
    parser.add_argument("--only", default="", help="of the fixed list, networks whose name contains this")
    parser.add_argument("--drawn", type=int, default=30, help="networks drawn from all of timm")
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400, help="of the drawing: that of the day")
    work = default_path("x").parent.parent / "held-out"
    parser.add_argument("--work", type=Path, default=work, help="the folder that keeps the captured networks")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
