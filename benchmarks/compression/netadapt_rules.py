"""NetAdapt's two rules for the proposal of a step, on the same networks in the same run.

    python -m benchmarks.compression.netadapt_rules                            # what is missing, some 40 minutes of one core
    python -m benchmarks.compression.netadapt_rules --network resnet18 --seed 0
    python -m benchmarks.compression.netadapt_rules --pages                    # only write the page

``accuracy`` is NetAdapt (Yang et al., 2018): the most accurate proposal, large steps first. ``ratio`` is MobileNetV3 (Howard
et al., 2019, section 4.3): the best accuracy lost to resource saved, constant steps of 1 %. A third row has the rule of the
one with the steps of the other, so that the effect of the rule can be told from that of the steps. Networks, images,
fine-tuning and cells are those of `benchmarks.compression.automatic`. Writes docs/benchmarks/compression/netadapt_rules.jsonl
and .md. Wants the extras `amc`, `samples` and `benchmarks`.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import Any

import torch

from benchmarks.compression.automatic import OUT, read, say
from benchmarks.compression.automatic_table.cells import run
from benchmarks.compression.automatic_table.material import images, trained
from benchmarks.compression.automatic_table.methods import Method, net_adapt
from benchmarks.compression.automatic_table.setting import CPU, DATASETS, NETWORKS
from benchmarks.compression.automatic_table.task import Cell, Task
from benchmarks.search_table.statistics import interval
from pocketcnn.compression.pruning.netadapt import STEPS_OF_RULE
from pocketcnn.files import write_text
from pocketcnn.targets.latency import default_path

NAME = "netadapt_rules"
SHARES = (0.7, 0.5)
PAPER, SMALL_STEPS, RATIO = "accuracy", "accuracy, 1 % steps", "ratio, 1 % steps"
RULES: Mapping[str, Method] = MappingProxyType(
    {
        PAPER: net_adapt,
        SMALL_STEPS: partial(net_adapt, **STEPS_OF_RULE["ratio"]),
        RATIO: partial(net_adapt, choose="ratio", **STEPS_OF_RULE["ratio"]),
    }
)
PAIRS = ((RATIO, PAPER), (RATIO, SMALL_STEPS), (SMALL_STEPS, PAPER))

INTRODUCTION = """# NetAdapt's rules for the proposal of a step

Made by `python -m benchmarks.compression.netadapt_rules`; each case is a line of `netadapt_rules.jsonl`. Networks, images and
fine-tuning are those of [the automatic table](automatic.md). The limit is on multiply-adds.

- `accuracy` keeps the most accurate proposal (NetAdapt). The first step saves 10 %, each further one 0.96 times as much.
- `ratio, 1 % steps` keeps the best ratio of accuracy lost to multiply-adds saved (MobileNetV3). Each step saves at least 1 %.
- `accuracy, 1 % steps` is a control: the rule of NetAdapt with the steps of MobileNetV3.
"""


def main() -> int:
    options = arguments()
    torch.set_num_threads(1)
    lines = options.out / f"{NAME}.jsonl"
    if not options.pages:
        run_missing(options, lines)
    write_text(options.out / f"{NAME}.md", page(read(lines)))
    return 0


def run_missing(options: argparse.Namespace, lines: Path) -> None:
    """Run the cells that are not in `lines`, and append each as soon as it is done."""
    done = {_key(document) for document in read(lines)}
    for seed, share, dataset, network in product(options.seed, SHARES, options.dataset, options.network):
        cell = Cell(dataset, network, "madds", share, seed)
        if cell.key in done:
            continue
        began, data = time.monotonic(), images(dataset, CPU.side)
        document = run(Task.of(cell, CPU, data, trained(network, data, CPU, seed, options.work), {}), RULES)
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, allow_nan=False) + "\n")
        say(f"{cell.key}: {time.monotonic() - began:.0f} s")


def page(documents: Sequence[dict[str, Any]]) -> str:
    """The tables as Markdown, made of the lines alone."""
    head = ("network", "images", "kept", "seeds", "unpruned", *RULES)
    lines = [INTRODUCTION, f"| {' | '.join(head)} |", f"| --- | --- | ---: | ---: |{' ---: |' * (len(RULES) + 1)}"]
    for share, dataset, network in product(SHARES, DATASETS, NETWORKS):
        cells = [
            each for each in documents if (each["share"], each["dataset"], each["network"]) == (share, dataset, network)
        ]
        if cells:
            shown = [_percent([cell["methods"][name].get("top1") for cell in cells]) for name in ("unpruned", *RULES)]
            lines.append(f"| {network} | {dataset} | {share:.0%} | {len(cells)} | {' | '.join(shown)} |")
    lines += ["", *_comparison(documents), "", *_effort(documents)]
    return "\n".join([*lines, ""])


def _comparison(documents: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "Differences of top-1 in percentage points between two rules, on the same network and seed. In brackets: the 95 % "
        "interval of the mean.",
        "",
        "| rule | other rule | cases | difference | verdict |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for one, other in PAIRS:
        pairs = [(cell["methods"][one].get("top1"), cell["methods"][other].get("top1")) for cell in documents]
        points = [100 * (a - b) for a, b in pairs if a is not None and b is not None]
        if len(points) > 1:
            found = interval(points)
            low, high = found.low, found.high
            verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
            lines.append(
                f"| {one} | {other} | {len(points)} | {mean(points):+.2f} ({low:+.2f} to {high:+.2f}) | {verdict} |"
            )
    return lines


def _effort(documents: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "Cost of the selection (means):",
        "",
        "| rule | steps | fine-tuned proposals | processor time |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in RULES:
        found = [cell["methods"][name] for cell in documents if "top1" in cell["methods"][name]]
        if found:
            steps, proposals, seconds = (mean(each[key] for each in found) for key in ("steps", "proposals", "seconds"))
            lines.append(f"| {name} | {steps:.0f} | {proposals:.0f} | {seconds:.0f} s |")
    return lines


def _percent(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{mean(known):.1%}" if known else "-"


def _key(document: dict[str, Any]) -> str:
    return Cell(*(document[name] for name in ("dataset", "network", "resource", "share", "seed"))).key


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset", choices=DATASETS, nargs="+", default=list(DATASETS))
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--seed", type=int, nargs="+", default=list(CPU.seeds))
    parser.add_argument("--pages", action="store_true", help="run nothing, write the page")
    work = default_path("x").parent.parent / "automatic"
    parser.add_argument("--work", type=Path, default=work, help="the folder that keeps the unpruned networks")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for the results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
