"""Every search strategy beside random search with as many evaluations.

    python -m benchmarks.search                                   # all that is missing
    python -m benchmarks.search --part synthetic                  # strategies on spaces with a known optimum
    python -m benchmarks.search --part points --dataset mnist     # train every network of a small space once
    python -m benchmarks.search --part runs                       # strategies on those accuracies, many seeds
    python -m benchmarks.search --part finals                     # what they found, trained in full, beside the zoo
    python -m benchmarks.search --part latency                    # searches for a measured latency, and the zoo at it
    python -m benchmarks.search --seconds 1800                    # as much as fits in half an hour
    python -m benchmarks.search --setting gpu                     # more evaluations, longer trainings
    python -m benchmarks.search --pages                           # only write the page

Every line is written to search.jsonl in docs/benchmarks as soon as it is known; what is there is not done again, so that the
same command goes on. Wants the extras `search`, `samples` and `benchmarks`.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.search_table.at_latency import SLACK, AtLatency, fitting_width, sized
from benchmarks.search_table.at_latency import name_of as key_of
from benchmarks.search_table.finals import ZOO, found_network, fully_trained, latencies, widest_within, zoo_network
from benchmarks.search_table.material import all_points, images, name_of, small_space
from benchmarks.search_table.page import page
from benchmarks.search_table.plots import drawing
from benchmarks.search_table.points import Table, trained_row
from benchmarks.search_table.runs import area, curve, searched
from benchmarks.search_table.setting import AT_LATENCY, DATASETS, REAL, SETTINGS, STRATEGIES, TASKS, Setting
from benchmarks.search_table.synthetic import ChainSpace
from pocketcnn.files import write_text
from pocketcnn.nas.trial import Finished

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
LINES, PAGE = "search.jsonl", "search.md"
PARTS = ("synthetic", "points", "runs", "finals", "latency")
Document = Mapping[str, Any]


def main() -> int:
    options = _options()
    torch.set_num_threads(1)
    store = Store(options.out / LINES)
    if not options.pages:
        _run(options, store)
    write_text(options.out / PAGE, page(store.documents))
    for name, plot in drawing(store.documents).items():
        write_text(options.out / name, plot)
    return 0


def _run(options: argparse.Namespace, store: "Store") -> None:
    setting, began = SETTINGS[options.setting], time.monotonic()
    for part in options.part or PARTS:
        for document in PART[part](setting, store, options.dataset or DATASETS):
            store.add(document)
            say(_in_short(document))
            if time.monotonic() - began > options.seconds:
                say("the time is up")
                return


class Store:
    """The lines, which are known by part, setting and key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.documents = read(path)
        self._known = {(each["setting"], each["part"], each["key"]) for each in self.documents}

    def has(self, setting: Setting, part: str, key: str) -> bool:
        """Whether a line is there."""
        return (setting.name, part, key) in self._known

    def of(self, setting: Setting, part: str) -> list[Document]:
        """The lines of a part."""
        return [each for each in self.documents if each["setting"] == setting.name and each["part"] == part]

    def add(self, document: Document) -> None:
        """Write one more line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, allow_nan=False) + "\n")
        self.documents.append(document)
        self._known.add((document["setting"], document["part"], document["key"]))


def synthetic(setting: Setting, store: Store, _datasets: tuple[str, ...]) -> Iterator[Document]:
    """Strategies on spaces with a known optimum, another one for each seed."""
    for seed, task, strategy in product(range(setting.seeds), TASKS, STRATEGIES):
        key = f"{task} {strategy} {seed}"
        if store.has(setting, "synthetic", key):
            continue
        began = time.process_time()
        space = ChainSpace(seed)
        trials = searched(strategy, space, space.evaluate, TASKS[task], setting.evaluations, seed)
        found = curve(trials, _reward, setting.evaluations)
        yield {
            **_head(setting, "synthetic", key),
            "task": task,
            "strategy": strategy,
            "seed": seed,
            "curve": _rounded(found),
            "area": round(area(trials), 5),
            "seconds": round(time.process_time() - began, 2),
        }


def points(setting: Setting, store: Store, datasets: tuple[str, ...]) -> Iterator[Document]:
    """Every network of the small space, trained once."""
    for dataset, point in product(datasets, all_points()):
        key = f"{dataset} {name_of(point)}"
        if not store.has(setting, "points", key):
            row = trained_row(point, images(dataset, setting.side, setting.images), setting)
            yield {**_head(setting, "points", key), "dataset": dataset, **row}


def runs(setting: Setting, store: Store, datasets: tuple[str, ...]) -> Iterator[Document]:
    """Strategies on the accuracies of those networks, where all of them are known."""
    for dataset in datasets:
        table = _table(setting, store, dataset)
        if table is None:
            say(f"{dataset}: not all networks have been trained yet (--part points)")
            continue
        for seed, strategy in product(range(setting.real_seeds), STRATEGIES):
            key = f"{dataset} {strategy} {seed}"
            if store.has(setting, "runs", key):
                continue
            trials = searched(strategy, small_space(), table.evaluate, REAL, setting.real_evaluations, seed)
            kept = [trial for trial in trials if _accuracy_within(trial) is not None]
            best = max(kept, key=lambda trial: trial.evaluation.accuracy, default=None)
            yield {
                **_head(setting, "runs", key),
                "dataset": dataset,
                "strategy": strategy,
                "seed": seed,
                "curve": _rounded(curve(trials, _accuracy_within, setting.real_evaluations)),
                "area": round(area(trials), 5),
                "best": table.best,
                "bound": table.bound,
                "cost": table.cost,
                "point": None if best is None else name_of(best.point),
            }


def finals(setting: Setting, store: Store, datasets: tuple[str, ...]) -> Iterator[Document]:
    """The network that each strategy found most often, trained in full, and the zoo at the latency that it takes."""
    for dataset in datasets:
        winners = _winners(setting, store, dataset)
        if not winners:
            say(f"{dataset}: no searches have run yet (--part runs)")
            continue
        distinct = sorted(set(winners.values()))
        by_name = {name_of(point): point for point in all_points()}
        data = images(dataset, setting.side, setting.images)
        key = f"{dataset} latencies {' | '.join(distinct)}"
        if not store.has(setting, "finals", key):
            measured = latencies([by_name[name] for name in distinct], setting)
            yield {**_head(setting, "finals", key), "dataset": dataset, "points": distinct, "latencies": measured}
        measured = next(each["latencies"] for each in store.of(setting, "finals") if each["key"] == key)
        seconds = max(measured[f"point {number}"]["median"] for number in range(len(distinct)))
        for seed, name in product(range(setting.final_seeds), distinct):
            key = f"{dataset} {name} {seed}"
            if not store.has(setting, "finals", key):
                found = found_network(by_name[name], data, setting, seed)
                yield {**_head(setting, "finals", key), "dataset": dataset, "point": name, "seed": seed, **found}
        for seed, network in product(range(setting.final_seeds), ZOO):
            width = widest_within(network, seconds, measured, setting)
            key = f"{dataset} {network} {width} {seed}"
            if not store.has(setting, "finals", key):
                found = fully_trained(zoo_network(network, width, setting, seed), data, setting, seed)
                head = {**_head(setting, "finals", key), "dataset": dataset, "network": network, "width": width}
                yield {**head, "seed": seed, **found}


def latency(setting: Setting, store: Store, datasets: tuple[str, ...]) -> Iterator[Document]:
    """Searches for a measured latency, what they found trained in full, and the zoo scaled to that latency."""
    size = sized(setting)
    if not store.has(setting, "latency", "width"):
        yield {**_head(setting, "latency", "width"), "width": fitting_width(size)}
    lines = store.of(setting, "latency")
    width = next(each["width"] for each in lines if each["key"] == "width")
    for dataset in datasets:
        question = AtLatency(dataset, size, width)
        yield from _searches(question, setting, store)
        own = [each for each in store.of(setting, "latency") if each.get("dataset") == dataset]
        found = sorted({_best_places(own, strategy) for strategy in AT_LATENCY} - {""})
        yield from _finals_at(question, setting, store, found)


def _best_places(rows: list[Document], strategy: str) -> str:
    """The best network of a strategy within the budget, of all its seeds; empty if there is none."""
    own = [each for each in rows if each.get("strategy") == strategy and each["places"]]
    return key_of(max(own, key=lambda each: (each["val"], -each["seed"]))["places"]) if own else ""


def _searches(question: AtLatency, setting: Setting, store: Store) -> Iterator[Document]:
    for seed, strategy in product(range(setting.latency_seeds), AT_LATENCY):
        key = f"{question.dataset} {strategy} {seed}"
        if store.has(setting, "latency", key):
            continue
        began = time.process_time()
        space, evaluations = question.space, setting.latency_evaluations
        trials = searched(strategy, space, question.evaluate, REAL, evaluations, seed)
        kept = [trial for trial in trials if trial.evaluation.use <= SLACK]
        best = max(kept, key=lambda trial: trial.evaluation.accuracy, default=None)
        yield {
            **_head(setting, "latency", key),
            "dataset": question.dataset,
            "strategy": strategy,
            "seed": seed,
            "kept": len(kept),
            "val": None if best is None else best.evaluation.accuracy,
            "places": None if best is None else list(space.indices(best.point)),
            "seconds": round(time.process_time() - began, 1),
        }


def _finals_at(question: AtLatency, setting: Setting, store: Store, found: list[str]) -> Iterator[Document]:
    places = {name: [int(place) for place in name.split()] for name in found}
    key = f"{question.dataset} latencies {' | '.join(found)}"
    if not store.has(setting, "latency", key):
        measured = question.measured(list(places.values()))
        yield {**_head(setting, "latency", key), "dataset": question.dataset, "found": found, "latencies": measured}
    measured = next(each["latencies"] for each in store.of(setting, "latency") if each["key"] == key)
    for seed, name in product(range(setting.latency_seeds), found):
        key = f"{question.dataset} {name} {seed}"
        if not store.has(setting, "latency", key):
            head = {**_head(setting, "latency", key), "dataset": question.dataset, "network": name, "seed": seed}
            yield {**head, **question.final(places[name], seed)}
    for seed, network in product(range(setting.latency_seeds), ZOO):
        name = f"{network} {widest_within(network, SLACK, measured, setting, 'use'):g}"
        key = f"{question.dataset} {name} {seed}"
        if not store.has(setting, "latency", key):
            head = {**_head(setting, "latency", key), "dataset": question.dataset, "network": name, "seed": seed}
            yield {**head, **question.final_of_zoo(network, float(name.split()[1]), seed)}


PART = {"synthetic": synthetic, "points": points, "runs": runs, "finals": finals, "latency": latency}


def _winners(setting: Setting, store: Store, dataset: str) -> dict[str, str]:
    """For each strategy the network that its search with the middle result found."""
    winners = {}
    for strategy in STRATEGIES:
        ran = [each for each in store.of(setting, "runs") if (each["dataset"], each["strategy"]) == (dataset, strategy)]
        ranked = sorted((each for each in ran if each["point"]), key=lambda each: (each["curve"][-1], each["seed"]))
        if ranked:
            winners[strategy] = ranked[len(ranked) // 2]["point"]
    return winners


def _table(setting: Setting, store: Store, dataset: str) -> Table | None:
    rows = {each["point"]: each for each in store.of(setting, "points") if each["dataset"] == dataset}
    return Table(rows, setting) if len(rows) == len(all_points()) else None


def _reward(trial: Finished) -> float:
    return trial.reward


def _accuracy_within(trial: Finished) -> float | None:
    return trial.evaluation.accuracy if trial.evaluation.use <= 1 else None


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 5) for value in values]


def _head(setting: Setting, part: str, key: str) -> dict[str, str]:
    return {"setting": setting.name, "part": part, "key": key}


def _in_short(document: Document) -> str:
    figures = {name: document[name] for name in ("area", "val", "test", "seconds") if document.get(name) is not None}
    if "curve" in document:
        figures = {"best": document["curve"][-1], **figures}
    return f"{document['part']}: {document['key'][:60]} {figures}"


def read(path: Path) -> list[Document]:
    """The lines of a file; one that was cut off is left out."""
    documents: list[Document] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                documents.append(json.loads(line))
            except json.JSONDecodeError:
                say(f"a line of {path.name} was cut off")
    return documents


def say(text: str) -> None:
    """Progress, at once."""
    print(text, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--dataset", action="append", choices=DATASETS)
    parser.add_argument("--setting", choices=SETTINGS, default="cpu")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
