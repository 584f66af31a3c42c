"""Search strategies on photographs, with many seeds, on a predictor fitted to trained networks.

    python -m benchmarks.search_photographs cifar10_jpeg.tar.xz                   # all that is missing
    python -m benchmarks.search_photographs cifar10_jpeg.tar.xz --seconds 1800    # as much as fits in half an hour
    python -m benchmarks.search_photographs --page                                # only write the page

The archive holds photographs of ten classes as SPLIT/CLASS/NUMBER.jpg. Every training is written to
docs/benchmarks/search_photographs.json as soon as it is done, and the same command goes on. Wants the extras `search`,
`samples` and `benchmarks`.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.photograph_search.images import Photographs, photographs
from benchmarks.photograph_search.page import page, within
from benchmarks.photograph_search.predictor import Predictor
from benchmarks.photograph_search.replay import really_searched, replayed
from benchmarks.photograph_search.setting import CONTROL, SETTING, STRATEGIES, Setting, space
from benchmarks.photograph_search.trainings import SHARES, bound, key_of, madds, measured, pool, recipe_of, trained
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.runtimes import this_machine

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
STEM = "search_photographs"
PARTS = ("table", "searches", "finals", "real")
ENOUGH = 20
"""Networks below which nothing is fitted to the table."""


def main() -> int:
    options = arguments()
    torch.set_num_threads(1)
    path = options.out / f"{STEM}.json"
    document = json.loads(path.read_text()) if path.is_file() else {"trainings": {}, "real": {}}
    if not options.page:
        try:
            run(options, document, path)
        except UsageError as error:
            print(error, file=sys.stderr)
            return 2
    write_text(path.with_suffix(".md"), page(document))
    return 0


def run(options: argparse.Namespace, document: dict[str, Any], path: Path, setting: Setting = SETTING) -> None:
    """Everything that is missing, as long as there is time."""
    if options.archive is None:
        raise UsageError("Give the archive of photographs, or --page to write the page alone.")
    until = time.monotonic() + options.seconds
    data = photographs(options.archive, setting)
    document["machine"] = {"cpu": this_machine().cpu}
    document["bound"] = bound()
    for part in options.part or PARTS:
        for told in WORK[part](document, data, setting):
            write_text(path, as_json(document))
            print(f"{time.strftime('%H:%M:%S')} {part}: {told}", flush=True)
            if time.monotonic() > until:
                return


def table(document: dict[str, Any], data: Photographs, setting: Setting) -> Iterator[str]:
    """Every network of the pool, for each length of training; the first ones with both seeds."""
    names, (first, second) = pool(setting), setting.seeds
    document["networks"] = {name: madds(name) for name in names}
    early, late = names[: setting.repeated], names[setting.repeated :]
    order = [*product((first, second), early), *product((first,), late)]
    for (seed, name), share in product(order, SHARES):
        yield from _trained(document, name, share, seed, data, setting)


def searches(document: dict[str, Any], _data: Photographs, setting: Setting) -> Iterator[str]:
    """Searches on predictors fitted to the table as it is."""
    epochs = {share: recipe_of(setting, share, 0).epochs for share in SHARES}
    names = pool(setting)
    found = {each: Predictor(measured(document["trainings"], names, each, setting.seeds)) for each in epochs.values()}
    fitted = {str(each): len(predictor.accuracies) for each, predictor in found.items()}
    if min(fitted.values()) < ENOUGH:
        yield f"{min(fitted.values())} networks are in the table, at least {ENOUGH} are needed"
        return
    if document.get("fitted") != fitted:
        document |= {"fitted": fitted, "searches": {}}
        document["predictor"] = {
            str(each): {"quality": round(one.quality, 3), "noise": round(one.noise, 5)} for each, one in found.items()
        }
        document["space"] = _space(found[setting.epochs])
        yield str(document["predictor"])
    for evaluations, strategy in product(setting.budgets, STRATEGIES):
        own = document["searches"].setdefault(strategy, {})
        if str(evaluations) not in own:
            every = [replayed(strategy, evaluations, seed, found, setting) for seed in range(setting.searches)]
            own[str(evaluations)] = {key: [each[key] for each in every] for key in ("accuracy", "network")}
            yield f"{strategy} with {evaluations} evaluations"


def _space(predictor: Predictor) -> dict[str, float]:
    """The networks of the space within the budget, and what the predictor says of them."""
    names = (" ".join(map(str, each)) for each in product(*(range(len(one.choices)) for one in space().decisions)))
    kept = predictor.many([name for name in names if madds(name) <= bound()])
    return {"networks": len(kept), "best": round(max(kept), 5), "median": round(median(kept), 5)}


def finals(document: dict[str, Any], data: Photographs, setting: Setting) -> Iterator[str]:
    """The network that the median search of each strategy chose, trained with seeds that no table has seen."""
    document["judged"] = judged(document, setting)
    for seed, name in product(setting.finals, sorted(set(document["judged"].values()))):
        yield from _trained(document, name, 1.0, seed, data, setting)


def judged(document: Mapping[str, Any], setting: Setting) -> dict[str, str]:
    """For each strategy the network of the search with the median result."""
    found = {}
    for strategy, own in document.get("searches", {}).items():
        results = own.get(str(setting.judged), {"accuracy": [], "network": []})
        ranked = sorted(
            (accuracy, name) for accuracy, name in zip(results["accuracy"], results["network"], strict=True) if name
        )
        if ranked:
            found[strategy] = ranked[len(ranked) // 2][1]
    return found


def real(document: dict[str, Any], data: Photographs, setting: Setting) -> Iterator[str]:
    """Searches in which each evaluation is a training: random search and the strategy that does best on the predictor."""
    ranked = within(document, setting.judged)
    if CONTROL not in ranked:
        return
    best = max((name for name in ranked if name != CONTROL), key=lambda name: ranked[name][0])
    for seed, strategy in product(setting.real_seeds, (CONTROL, best)):
        key = f"{strategy} {seed}"
        if key in document["real"]:
            continue
        name = really_searched(
            strategy, setting.real_evaluations, seed + 10, partial(_measure, document, data, setting)
        )
        if name is not None:
            document["real"][key] = name
            yield f"{key}: {name}"
            yield from _trained(document, name, 1.0, setting.finals[0], data, setting)


def _measure(
    document: dict[str, Any], data: Photographs, setting: Setting, name: str, share: float, seed: int
) -> float:
    for _ in _trained(document, name, share, seed, data, setting):
        pass
    return float(document["trainings"][key_of(name, recipe_of(setting, share, seed).epochs, seed)]["val"])


def _trained(
    document: dict[str, Any], name: str, share: float, seed: int, data: Photographs, setting: Setting
) -> Iterator[str]:
    """Add a training to the document, unless it is there."""
    key = key_of(name, recipe_of(setting, share, seed).epochs, seed)
    if key not in document["trainings"]:
        began = time.process_time()
        row = trained(name, share, seed, data, setting)
        document["trainings"][key] = {**row, "seconds": round(time.process_time() - began, 1)}
        yield f"{key} {row['val']:.3f}"


WORK = {"table": table, "searches": searches, "finals": finals, "real": real}


def as_json(document: Mapping[str, Any]) -> str:
    """JSON with a line for each entry, so that versions can be compared."""
    lines = []
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "archive", nargs="?", type=Path, help="photographs as SPLIT/CLASS/NUMBER.jpg in a .tar, .tar.xz, …"
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="only these")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after this time")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
