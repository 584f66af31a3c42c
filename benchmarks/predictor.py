"""How well the latency of networks is predicted that were held out, beside simpler predictions.

    python benchmarks/predictor.py --target onnxruntime-cpu    # some 8 minutes, and 3 once to capture the networks

Run it on a machine that does nothing else. Profiles the target unless its table is there, measures the networks of
latency_predictor/networks.py in turns, and writes docs/benchmarks/predictor/TARGET.json and docs/benchmarks/predictor.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from latency_predictor.controls import WORK, amounts, leave_one_out, lone_kernels, sum_of_lone
from latency_predictor.judging import judged
from latency_predictor.networks import held_out
from latency_predictor.page import PREDICTOR, page
from pocketcnn.errors import PocketcnnError
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.figures import in_form
from pocketcnn.pipeline.profile import REFERENCE, SETTLE
from pocketcnn.pipeline.profile_apart import profile_apart
from pocketcnn.runtimes import Session, get_runtime
from pocketcnn.runtimes.base import FloatArray, Numerics
from pocketcnn.runtimes.timing import turn
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.latency import LatencyPredictor, LatencyTable, default_path
from pocketcnn.targets.latency.blocks import PooledWeights, build
from pocketcnn.targets.latency.kernels import Kernel
from pocketcnn.targets.measuring import example_batch, runtime_of

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
LONE = "sum of lone layers"


@dataclass
class Turns:
    """Networks of one target in one numerics, measured in turns beside the reference network."""

    target: Target
    form: Numerics
    folder: Path
    turn: float
    usual: float
    """Seconds of the reference network while the table was measured."""

    references: list[float] = field(default_factory=list)

    def session(self, graph: Graph, name: str) -> Session:
        runtime = get_runtime(runtime_of(self.target))
        path = self.folder / f"{abs(hash(name))}{runtime.suffix}"
        runtime.write(GraphNetwork(graph), path)
        return runtime.build(path, threads=self.target.thread_count)

    def samples(self, session: Session, batch: FloatArray, seconds: float, least: int = 3) -> np.ndarray:
        """Seconds of calls in one turn."""
        return np.array(turn(session, batch, settle=SETTLE, seconds=seconds, fewest=least))

    def measured(
        self, graphs: Mapping[str, Graph], seconds: float, rounds: int
    ) -> dict[str, tuple[float, float, float]]:
        """Median of the medians of the turns, and 10th and 90th percentile of all samples, for what the runtime can run.

        As if the machine had been as fast as while the table was measured, by the reference network's times then and now.
        """
        with ExitStack() as stack:
            reference = stack.enter_context(closing(self.session(build(REFERENCE, PooledWeights()), "reference")))
            sessions: dict[str, tuple[Session, FloatArray]] = {}
            for name, graph in graphs.items():
                try:
                    session = stack.enter_context(closing(self.session(in_form(graph, self.form), name)))
                    opened = session, example_batch(session)
                    self.samples(*opened, 0.0, 1)  # a runtime may refuse what it could build
                    sessions[name] = opened
                except PocketcnnError as error:
                    say(f"{name} does not run: {error}")
            turns: dict[str, list[np.ndarray]] = {name: [] for name in sessions}
            references: list[float] = []
            start = time.perf_counter()
            while len(references) < rounds or time.perf_counter() - start < seconds:
                references.append(float(np.median(self.samples(reference, example_batch(reference), 0.02))))
                for name, opened in sessions.items():
                    turns[name].append(self.samples(*opened, self.turn))
            self.references.extend(references)
            say(f"{self.form}: {len(references)} rounds in {time.perf_counter() - start:.0f} s")
        speed = self.usual / float(np.median(references))
        return {name: _figures(found, speed) for name, found in turns.items()}


def _figures(turns: list[np.ndarray], speed: float) -> tuple[float, float, float]:
    low, high = np.percentile(np.concatenate(turns), [10, 90])
    return float(np.median([np.median(samples) for samples in turns])) * speed, float(low) * speed, float(high) * speed


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")


def main() -> int:
    options = _options()
    torch.set_num_threads(1)
    target = load_target(options.target)
    path = options.table or default_path(target.name)
    table = LatencyTable.load(path) if path.is_file() else LatencyTable(target.name, None)  # type: ignore[arg-type]
    if table.seconds < options.profile:
        table = profile_apart(target, path, seconds=options.profile)
    say(f"table of {len(table.points)} points from {table.seconds:.0f} s: {path}")
    graphs = {name: network.graph for name, network in held_out(options.work, options.only)}
    say(f"{len(graphs)} networks held out")
    usual = float(np.median([point.reference for point in table.points if point.ran]))
    forms: dict[str, Any] = {}
    fitting = 0.0
    for form in table.numerics:
        start = time.perf_counter()
        predictor = LatencyPredictor.fitted(table, form)
        fitting += time.perf_counter() - start
        if options.again:
            before = json.loads((options.out / "predictor" / f"{target.name}.json").read_text())["numerics"][form]
            forms[form] = _judged_again(before, graphs, predictor)
        else:
            with TemporaryDirectory() as folder:
                turns = Turns(target, form, Path(folder), options.turn, usual)
                forms[form] = _compared(turns, graphs, predictor, options)
        forms[form]["points"] = len(table.steady(form))
    document = {
        "target": target.name,
        "circumstances": asdict(table.circumstances),
        "table_seconds": table.seconds,
        "fit_seconds": fitting / len(forms),
        "numerics": forms,
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    write_text(options.out / "predictor" / f"{target.name}.json", f"{text}\n")
    documents = [json.loads(file.read_text()) for file in sorted((options.out / "predictor").glob("*.json"))]
    write_text(options.out / "predictor.md", page(documents))
    for form, found in forms.items():
        for name, how in found["summary"].items():
            print(form, name, {key: round(value, 4) for key, value in how.items()})
    return 0


def _compared(
    turns: Turns, graphs: Mapping[str, Graph], predictor: LatencyPredictor, options: argparse.Namespace
) -> dict[str, Any]:
    measured = turns.measured(graphs, options.seconds / 2, options.rounds)
    ran = {name: graphs[name] for name in measured}
    seconds = [measured[name][0] for name in ran]
    predictions = {PREDICTOR: [predictor.seconds(graph) for graph in ran.values()]}
    rows = [amounts(graph) for graph in ran.values()]
    for control, names in WORK.items():
        predictions[control] = leave_one_out(rows, names, seconds)
    summary = {name: judged(found, seconds) for name, found in predictions.items()}
    lone = _lone_times(turns, ran, options.lone)
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
            **rows[index],
            **{control: found[index] for control, found in predictions.items()},
            **({LONE: sum_of_lone(ran[name], lone)} if name in complete else {}),
        }
        for index, name in enumerate(ran)
    ]
    reference = {"table": turns.usual, "now": float(np.median(turns.references))}
    return {"summary": summary, "reference": reference, "networks": networks}


def _judged_again(
    before: Mapping[str, Any], graphs: Mapping[str, Graph], predictor: LatencyPredictor
) -> dict[str, Any]:
    """The record of an earlier run with what `predictor` says now of the networks that were measured then."""
    networks = [{**row, PREDICTOR: predictor.seconds(graphs[row["name"]])} for row in before["networks"]]
    found = judged([row[PREDICTOR] for row in networks], [row["measured"] for row in networks])
    return {**before, "summary": {**before["summary"], PREDICTOR: found}, "networks": networks}


def _lone_times(turns: Turns, graphs: Mapping[str, Graph], seconds: float) -> dict[Kernel, float]:
    """Times of single layers, of as many networks as there is time for, the shortest first."""
    times: dict[Kernel, float] = {}
    start = time.perf_counter()
    for graph in sorted(graphs.values(), key=lambda graph: len(graph.nodes)):
        missing = {
            str(kernel): (kernel, alone) for kernel, alone in lone_kernels([graph]).items() if kernel not in times
        }
        if time.perf_counter() - start > seconds:
            return times
        found = turns.measured({name: alone for name, (_, alone) in missing.items()}, 0.0, 3)
        times |= {kernel: found[name][0] if name in found else 0.0 for name, (kernel, _) in missing.items()}
    return times


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="onnxruntime-cpu")
    parser.add_argument("--table", type=Path, help="its latency table; in the user's cache unless given")
    parser.add_argument("--profile", type=float, default=300.0, help="seconds that the table must have taken")
    parser.add_argument("--seconds", type=float, default=150.0, help="to measure the networks in all numerics")
    parser.add_argument("--turn", type=float, default=0.05, help="seconds of a network's turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each network at least")
    parser.add_argument("--lone", type=float, default=20.0, help="seconds to measure lone layers, for each numerics")
    parser.add_argument(
        "--again", action="store_true", help="measure nothing: predict again what an earlier run measured"
    )
    parser.add_argument("--only", default="", help="networks whose name contains this")
    work = default_path("x").parent.parent / "held-out"
    parser.add_argument("--work", type=Path, default=work, help="the folder that keeps the captured networks")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
