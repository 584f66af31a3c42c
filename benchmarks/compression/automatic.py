"""Automatic compression to a budget: ours, uniform, random and greedy controls, and Torch-Pruning, at the same budgets.

    python -m benchmarks.compression.automatic                                    # what is missing of the grid
    python -m benchmarks.compression.automatic --dataset digits --share 0.5       # a part of it
    python -m benchmarks.compression.automatic --seconds 1800                     # as many cells as fit in half an hour
    python -m benchmarks.compression.automatic --setting gpu                      # wider networks, longer trainings
    python -m benchmarks.compression.automatic --pages                            # only write the page

Every cell (a network on a set of images, a resource, a share of it, a seed) is a line of automatic.jsonl in
docs/benchmarks/compression as soon as it is done; cells that are there are not run again, so that the same command goes on.
The latency of a network in a search is predicted from the latency table of the target (`pocketcnn target profile
onnxruntime-cpu`); without one, cells of latency are left out, and widths are whole multiples. Wants the extras `amc`,
`samples` and `benchmarks`.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.compression.automatic_table.cells import run
from benchmarks.compression.automatic_table.material import images, trained
from benchmarks.compression.automatic_table.page import page
from benchmarks.compression.automatic_table.setting import DATASETS, NETWORKS, RESOURCES, SETTINGS, SHARES, Setting
from benchmarks.compression.automatic_table.task import Cell, Sensitivities, Task, table_clock
from pocketcnn.files import write_text
from pocketcnn.targets.latency import default_path

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def main() -> int:
    options = _options()
    torch.set_num_threads(1)
    lines = options.out / "automatic.jsonl"
    if not options.pages:
        _run(options, lines)
    documents = read(lines)
    write_text(options.out / "automatic.md", page(documents))
    return 0


def _run(options: argparse.Namespace, lines: Path) -> None:
    setting, began = SETTINGS[options.setting], time.monotonic()
    sensitivities: Sensitivities = {}
    done = {(document["setting"], _key(document)) for document in read(lines)}
    for cell in wanted(options, setting):
        if (setting.name, cell.key) in done:
            continue
        if time.monotonic() - began > options.seconds:
            say("the time is up")
            return
        start = time.monotonic()
        data = images(cell.dataset, setting.side)
        module = trained(cell.network, data, setting, cell.seed, options.work)
        document = run(Task.of(cell, setting, data, module, sensitivities))
        document["wall_seconds"] = round(time.monotonic() - start, 1)
        lines.parent.mkdir(parents=True, exist_ok=True)
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, allow_nan=False) + "\n")
        say(f"{cell.key}: {document['wall_seconds']:.0f} s; {_in_short(document)}")


def wanted(options: argparse.Namespace, setting: Setting) -> Iterator[Cell]:
    """The cells that the options ask for, cheap and telling ones first."""
    seeds, timed = options.seed or setting.seeds, table_clock() is not None
    for resource, share, dataset, network, seed in product(
        options.resource or RESOURCES,
        options.share or SHARES,
        options.dataset or DATASETS,
        options.network or NETWORKS,
        seeds,
    ):
        if resource == "latency" and not timed:
            continue
        yield Cell(dataset, network, resource, share, seed)


def read(lines: Path) -> list[dict[str, Any]]:
    """The cells that have run; a line that was cut off by an interruption is not there."""
    found = []
    for line in lines.read_text(encoding="utf-8").splitlines() if lines.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _key(document: dict[str, Any]) -> str:
    return Cell(*(document[name] for name in ("dataset", "network", "resource", "share", "seed"))).key


def _in_short(document: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {figures['top1']:.1%}" if "top1" in figures else f"{name} failed"
        for name, figures in document["methods"].items()
    )


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=SETTINGS, default="cpu")
    parser.add_argument("--dataset", choices=DATASETS, action="append")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--resource", choices=RESOURCES, action="append")
    parser.add_argument("--share", type=float, action="append", help="of the resource that may be used")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further cell after this time")
    parser.add_argument("--pages", action="store_true", help="run nothing, write the page")
    work = default_path("x").parent.parent / "automatic"
    parser.add_argument("--work", type=Path, default=work, help="the folder that keeps the unpruned networks")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
