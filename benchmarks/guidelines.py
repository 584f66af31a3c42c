"""The four guidelines of ShuffleNetV2, and the cost of its channel shuffle, measured here beside what the paper printed.

    python -m benchmarks.guidelines                              # ONNX Runtime: some 1.5 minutes
    python -m benchmarks.guidelines --runtimes onnxruntime,ncnn  # each runtime named

Run it on a machine that does nothing else. All networks of a column take turns, so that noise hits them alike; what is
compared with the paper is their ratio. Writes docs/benchmarks/guidelines.json and guidelines.md.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.shufflenet_guidelines.blocks import graph_of
from benchmarks.shufflenet_guidelines.paper import GUIDELINES, SIDE, Experiment
from pocketcnn.cost import count
from pocketcnn.files import write_text
from pocketcnn.runtimes import StopRule, compare, get_runtime, this_machine
from pocketcnn.targets.measuring import example_batch

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
STEM = "guidelines"


def main() -> None:
    options = arguments()
    rule = StopRule(min_seconds=min(0.2, options.seconds), max_seconds=options.seconds)
    runtimes = options.runtimes.split(",")
    found = {name: [measured(experiment, name, rule) for experiment in GUIDELINES] for name in runtimes}
    document = {"machine": asdict(this_machine()), "threads": 1, "side": SIDE, "runtimes": found}
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / f"{STEM}.json", json.dumps(document, indent=1) + "\n")
    write_text(options.out / f"{STEM}.md", page(document))
    print(page(document))


def measured(experiment: Experiment, runtime: str, rule: StopRule) -> dict[str, Any]:
    """Every column of one table: for each row its latency in seconds, with spread, and its ratio to the first row."""
    columns = [_column(experiment, column, runtime, rule) for column in range(len(experiment.columns))]
    return {"title": experiment.title, "columns": dict(zip(experiment.columns, columns, strict=True))}


def _column(experiment: Experiment, column: int, runtime: str, rule: StopRule) -> dict[str, Any]:
    engine = get_runtime(runtime)
    networks = {row: graph_of(network, SIDE) for row, network in experiment.networks(column).items()}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sessions = []
        for number, network in enumerate(networks.values()):
            artefact = engine.write(network, Path(folder) / f"{number}{engine.suffix}")
            sessions.append(stack.enter_context(closing(engine.build(artefact, threads=1))))
        shapes = [(1, *network.graph.input_shape) for network in networks.values()]
        examples = [example_batch(session, shape) for session, shape in zip(sessions, shapes, strict=True)]
        comparison = compare(sessions, examples, rule=rule)
    return {
        row: {
            "madds": count(network).madds,
            "memory_access_bytes": count(network).memory_access_bytes,
            "seconds": latency.median,
            "p10": latency.p10,
            "p90": latency.p90,
            "ratio": ratio,
            "ratio_interval": interval,
        }
        for (row, network), latency, ratio, interval in zip(
            networks.items(), comparison.latencies, comparison.ratios, comparison.intervals, strict=True
        )
    }


def page(document: dict[str, Any]) -> str:
    """The tables as Markdown: time relative to the first row, with its 95 % interval, beside the paper's."""
    lines = [
        "# The guidelines of ShuffleNetV2, measured",
        "",
        "Made by `python -m benchmarks.guidelines`. Each network has ten blocks on images of "
        f"{document['side']} x {document['side']}, batch 1, one thread of {document['machine']['cpu']}. The networks of a column "
        "are timed in turns.",
        "",
        "A figure is the time relative to the first row, with its 95 % interval. The figure in brackets is the same from the "
        "speeds in the paper on ARM (Tables 1 to 4, one core of a Snapdragon 810).",
    ]
    for runtime, tables in document["runtimes"].items():
        lines += ["", f"## {runtime}"]
        for experiment, table in zip(GUIDELINES, tables, strict=True):
            lines += [
                "",
                f"### {experiment.title}",
                "",
                f"*{experiment.claim}.*",
                "",
                *_rows(experiment, table),
            ]
    return "\n".join(lines) + "\n"


def _rows(experiment: Experiment, table: dict[str, Any]) -> Sequence[str]:
    columns = list(table["columns"])
    lines = ["| | " + " | ".join(columns) + " | ms at " + columns[0] + " |", "| --- |" + " --- |" * (len(columns) + 1)]
    for row in experiment.rows:
        cells = [_cell(experiment, table["columns"][column][row], row, place) for place, column in enumerate(columns)]
        lines.append(
            f"| {row} | " + " | ".join(cells) + f" | {table['columns'][columns[0]][row]['seconds'] * 1e3:.3f} |"
        )
    return lines


def _cell(experiment: Experiment, figure: dict[str, Any], row: str, column: int) -> str:
    low, high = figure["ratio_interval"]
    text = f"{figure['ratio']:.2f}, {low:.2f} to {high:.2f}"
    if experiment.printed is None:
        return text
    first = next(iter(experiment.printed.values()))
    return f"{text} [{first[column] / experiment.printed[row][column]:.2f}]"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtimes", default="onnxruntime", help="names with commas between them")
    parser.add_argument("--seconds", type=float, default=1.5, help="the longest time to measure each network")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
