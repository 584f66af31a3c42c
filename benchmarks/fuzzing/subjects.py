"""What is fuzzed: for each kind of file good examples, ways to damage them, and what the product does with the result."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from random import Random

import numpy as np
import safetensors.torch
import torch
from torch import nn

import pocketcnn as pc
from benchmarks.fuzzing.damage import of_bytes, of_document, of_onnx, of_text
from pocketcnn.formats.onnx.writer import write_onnx
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.graph.model_file import KEY
from pocketcnn.nas.loop import run
from pocketcnn.nas.objective import SOFT
from pocketcnn.nas.spaces.user import space_from_toml
from pocketcnn.nas.strategies import strategy_config
from pocketcnn.nas.study import StudyLog, sqlite
from pocketcnn.nas.trial import Evaluation, Proposal
from pocketcnn.nas.workers import Inline
from pocketcnn.targets import load_target
from pocketcnn.targets.latency import LatencyTable
from pocketcnn.training import Recipe

LARGEST_RUN = 10**5
"""Values of an input that is still run."""

SPACE = """stem = 16
last = 64
head = 32

[[block]]
operation = ["inverted", "separable"]
kernel = [3, 5]
filters = [16, 24]
layers = [1, 2]
stride = 2
"""
RECIPE = 'epochs = 5\nbatch_size = 32\noptimizer = "adamw"\nlearning_rate = 0.01\naugmentation = "light"\nwarmup_epochs = 1.0\n'
TARGET = """name = "board"
numerics = ["float32", "int8"]
ram = "256kB"
bandwidth = 1e9

[peak_madds]
float32 = 1e9
int8 = 4e9

[[lacks]]
op = "hardswish"
why = "no kernel"
"""


@dataclass(frozen=True)
class Subject:
    """A kind of file.

    Attributes:
        suffix: of the file.
        examples: makes good files in a folder, once.
        damaged: a good file's content -> a damaged one.
        use: what the product does with a file; raises only `PocketcnnError` if the product is right.
    """

    suffix: str
    examples: Callable[[Path], list[bytes]]
    damaged: Callable[[bytes, Random], bytes]
    use: Callable[[Path], object]


def run_network(network: GraphNetwork) -> None:
    """One forward pass, if the input is small."""
    shape = network.graph.input_shape
    if prod(shape) < LARGEST_RUN:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *shape))


def _networks() -> list[GraphNetwork]:
    """Convolutions, a residual, a gate, a concatenation and batch norm; in float and in integers."""
    torch.manual_seed(0)
    shuffle = pc.create("shufflenet_v2", width=0.5, classes=3, total_stride=8)
    mobile = pc.create("mobilenet_v3_small", width=0.1, classes=3, total_stride=8)
    found = [GraphNetwork(capture(network.eval(), (1, 3, 16, 16))).eval() for network in (shuffle, mobile)]
    layers = (
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    tiny = GraphNetwork(capture(nn.Sequential(*layers).eval(), (1, 3, 8, 8))).eval()
    return [*found, tiny, pc.quantize(tiny, torch.randn(16, 3, 8, 8)).eval()]


def _model_files(folder: Path) -> list[bytes]:
    """With and without checksum, plain and entropy-coded."""
    found = []
    for number, network in enumerate(_networks()):
        path = folder / f"{number}.safetensors"
        pc.save(path, network)
        found.append(path.read_bytes())
        pc.save(path, network, coding="lzma")
        found.append(path.read_bytes())
    return found


def _damaged_model(content: bytes, random: Random) -> bytes:
    """Half of the damage is to the JSON header, without checksum, as if somebody wrote the file that way."""
    size = 8 + int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8:size])["__metadata__"]
    if random.random() < 0.5 and KEY in metadata:
        header = of_document(json.loads(metadata[KEY]), random)
        return safetensors.torch.save(safetensors.torch.load(content), {KEY: json.dumps(header)})
    if random.random() < 0.5 and KEY in metadata:
        content = safetensors.torch.save(safetensors.torch.load(content), {KEY: metadata[KEY]})
        size = 8 + int.from_bytes(content[:8], "little")
    return of_bytes(content, random, size)


def _onnx_files(folder: Path) -> list[bytes]:
    found = []
    for number, network in enumerate(_networks()):
        path = folder / f"{number}.onnx"
        write_onnx(path, network.graph)
        found.append(path.read_bytes())
    return found


def _studies(folder: Path) -> list[bytes]:
    space = space_from_toml(_written(folder / "space.toml", SPACE))
    path = folder / "search.db"
    path.unlink(missing_ok=True)
    log = StudyLog(sqlite(path), "search", space)
    run(strategy_config("random").make(space, 6), SOFT, Inline(_evaluated), log, trials=6, seed=1)
    return [path.read_bytes()]


def _evaluated(_proposal: Proposal, number: int) -> Evaluation:
    return Evaluation(0.5 + number / 100, 0.5, {"macs": 1e6}, 1.0)


def _open_study(path: Path) -> object:
    space = space_from_toml(_written(path.with_suffix(".toml"), SPACE))
    return StudyLog(sqlite(path), "search", space).trials()


def _tables(_folder: Path) -> list[bytes]:
    rows = [["3x8x8 conv:3,1,8,1", "float32", 10.0, 9.0, 12.0, 20, 5.0]] * 3
    machine = {"cpu": "x", "flags": ["avx2"], "cores": 2, "system": "Linux", "architecture": "x86_64"}
    conditions = {"runtime": "onnxruntime", "version": "1", "threads": 1, "machine": machine, "settings": {}}
    head = {"format": 1, "target": "t", "circumstances": conditions, "seed": 0, "seconds": 1.0, "points": rows}
    return [json.dumps(head).encode()]


def _use_table(path: Path) -> object:
    table = LatencyTable.load(path)
    return table.summary(), table.steady("float32"), table.spread("float32")


def _damaged_json(content: bytes, random: Random) -> bytes:
    if random.random() < 0.3:
        return of_bytes(content, random)
    return json.dumps(of_document(json.loads(content), random)).encode()


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _text(text: str) -> Callable[[Path], list[bytes]]:
    return lambda _folder: [text.encode()]


def _damaged_text(content: bytes, random: Random) -> bytes:
    return of_text(content.decode(), random).encode("utf-8", "replace")


def _use_space(path: Path) -> object:
    space = space_from_toml(path)
    return space.check(space.random(np.random.default_rng(0)))


SUBJECTS: Mapping[str, Subject] = {
    "model": Subject(".safetensors", _model_files, _damaged_model, lambda path: run_network(pc.load(path))),
    "onnx": Subject(
        ".onnx",
        _onnx_files,
        lambda content, random: of_onnx(content, random) if random.random() < 0.6 else of_bytes(content, random),
        lambda path: run_network(GraphNetwork(pc.read_onnx(path))),
    ),
    "study": Subject(".db", _studies, of_bytes, _open_study),
    "latency table": Subject(".json", _tables, _damaged_json, _use_table),
    "recipe": Subject(".toml", _text(RECIPE), _damaged_text, Recipe.from_toml),
    "target": Subject(".toml", _text(TARGET), _damaged_text, load_target),
    "space": Subject(".toml", _text(SPACE), _damaged_text, _use_space),
}
