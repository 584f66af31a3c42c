"""`fit` on small unbalanced sets of pictures, beside a plain PyTorch loop with the same network and the most frequent class.

    python -m benchmarks.fit_small_photographs                                  # clip art, one seed: some 10 minutes
    python -m benchmarks.fit_small_photographs --sets clip-art,groceries --seeds 3 --groceries groceries.tar

The clip art is Debian's package openclipart-png (`apt-get update` first). Every finished case is added to
docs/benchmarks/fit_small_photographs.json, from which fit_small_photographs.md is made.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.small_photographs.control import BATCH, EPOCHS, RATE, control
from benchmarks.small_photographs.sets import clip_art, groceries
from pocketcnn.data import ImageFolder, infer_contract, scan
from pocketcnn.files import write_text
from pocketcnn.layers import reparameterize
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.fit.fit import fit
from pocketcnn.pipeline.recipes import datasets
from pocketcnn.records.result import FitResult
from pocketcnn.runtimes import this_machine
from pocketcnn.training import evaluate

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
STEM = "fit_small_photographs"
BUDGET = "size<=300kB, latency<=5ms@onnxruntime-cpu"


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    path = options.out / f"{STEM}.json"
    document = json.loads(path.read_text()) if path.exists() else {"budget": BUDGET, "cases": []}
    document["machine"] = asdict(this_machine())
    for name in options.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            images = options.folder or made(name, Path(folder) / name, options.groceries)
            for seed in range(options.seeds):
                found = case(images, name, seed, options.effort)
                same = (found["set"], seed, options.effort)
                others = [each for each in document["cases"] if (each["set"], each["seed"], each["effort"]) != same]
                document["cases"] = [*others, found]
                write_text(path, json.dumps(document, indent=1) + "\n")
                write_text(options.out / f"{STEM}.md", page(document))
    print(page(document))


def made(name: str, root: Path, archive: Path) -> Path:
    """The folder of images of a set."""
    return clip_art(root) if name == "clip-art" else groceries(root, archive)


def case(images: Path, name: str, seed: int, effort: str) -> dict[str, Any]:
    """`fit` and the control on a folder of images, with the same split."""
    with tempfile.TemporaryDirectory() as out:
        started = time.monotonic()
        result = fit(images, BUDGET, out, effort=effort, seed=seed, say=print)
        seconds = time.monotonic() - started
    folder = scan(images, seed=seed)
    fitted = figures_of_fit(result) | {"seconds": seconds}
    common = {"set": name, "seed": seed, "effort": effort, "test": len(folder.test), "train": len(folder.train)}
    return {**common, "fit": fitted, "control": figures_of_control(result, folder, seed)}


def figures_of_fit(result: FitResult) -> dict[str, Any]:
    """What `fit` reached, and what it used of the budget."""
    chosen = next(candidate for candidate in result.candidates if candidate.chosen)
    assert result.artefact.baselines is not None
    return {
        "network": chosen.name,
        "top1": result.artefact.accuracy.top1,
        "interval": [result.artefact.accuracy.low, result.artefact.accuracy.high],
        "majority": result.artefact.baselines.majority,
        "mean_recall": result.artefact.baselines.mean_recall,
        "met": result.met,
        "used": {limit.quantity: limit.value / limit.bound for limit in result.limits},
        "candidates": [candidate.name for candidate in result.candidates],
    }


def figures_of_control(result: FitResult, folder: ImageFolder, seed: int) -> dict[str, Any]:
    """The network that `fit` chose, trained by the plain loop, in float32 and without a budget."""
    chosen = next(candidate for candidate in result.candidates if candidate.chosen)
    contract = infer_contract(folder)
    plan = CandidateNetwork(chosen.network, chosen.width, contract.channels, chosen.input_size, len(folder.classes))
    sets = datasets(folder, plan.contract(contract), "light")
    started = time.monotonic()
    trained = control(plan.build(seed, for_training=True), sets, seed)
    found = evaluate(reparameterize(trained), sets.test)
    return {"top1": found.top1, "interval": list(found.top1_interval), "seconds": time.monotonic() - started}


def page(document: Mapping[str, Any]) -> str:
    """The page of the measurements."""
    machine = document["machine"]
    columns = ("set", "seed", "effort", "network", "fit", "control", "most frequent class", "mean of the classes")
    columns = (*columns, "size used", "latency used", "fit, s", "control, s")
    lines = [
        "# fit on small sets of pictures",
        "",
        f"`{STEM}.json`, by `python -m benchmarks.{STEM}`, on {machine['cpu']}, one thread. Budget: `{document['budget']}`.",
        f"The control is the network that `fit` chose, in float32, trained by a plain PyTorch loop: AdamW {RATE}, batches of "
        f"{BATCH}, {EPOCHS} epochs, the best epoch on the validation images. Accuracies are on the test images, with their 95 %",
        "interval; that of `fit` is of the file. Other programs ran on the machine, so times are upper bounds.",
        "",
        f"| {' | '.join(columns)} |",
        f"| {' | '.join(['---'] * len(columns))} |",
        *[_row(each) for each in document["cases"]],
        "",
        _verdict(document["cases"]),
    ]
    return "\n".join(lines) + "\n"


def _row(each: Mapping[str, Any]) -> str:
    fitted, plain = each["fit"], each["control"]
    cells = [
        each["set"],
        each["seed"],
        each["effort"],
        fitted["network"],
        _accuracy(fitted),
        _accuracy(plain),
        _percent(fitted["majority"]),
        _percent(fitted["mean_recall"]),
        *(_percent(fitted["used"][quantity]) for quantity in ("size", "latency")),
        f"{fitted['seconds']:.0f}",
        f"{plain['seconds']:.0f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _accuracy(figures: Mapping[str, Any]) -> str:
    low, high = figures["interval"]
    return f"{_percent(figures['top1'])} ({100 * low:.0f} to {100 * high:.0f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _verdict(cases: Sequence[Mapping[str, Any]]) -> str:
    gain = statistics.mean(each["fit"]["top1"] - each["control"]["top1"] for each in cases)
    above = sum(each["fit"]["interval"][0] > each["fit"]["majority"] for each in cases)
    return (
        f"Mean difference of `fit` and its control: {100 * gain:+.1f} points over {len(cases)} cases. In {above} of "
        f"{len(cases)} the interval of `fit` lies above the most frequent class."
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="clip-art", help="clip-art, groceries")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--effort", default="low")
    parser.add_argument("--groceries", type=Path, help="the archive of groceries")
    parser.add_argument("--folder", type=Path, help="images that were made before, in place of the set's own")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
