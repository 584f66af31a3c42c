"""Quantization beside ONNX Runtime's own static quantizer and NNCF: same float files, same images, one run.

    pip install "pocketcnn[samples,imagenet,benchmarks]"
    python -m benchmarks.compression.quantization             # all of it
    python -m benchmarks.compression.quantization --seeds 0   # a shorter one

Small MobileNetV2, MobileNetV3-Small and ShuffleNetV2 are trained on two sets of digits, and EfficientNet-Lite0 comes
with the weights of ImageNet; every file, ours and theirs, is judged in ONNX Runtime. Writes
docs/benchmarks/compression/quantization.json and .md.
"""

import argparse
import fcntl
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from benchmarks.compression.quantization_table import ours, peers
from benchmarks.compression.quantization_table.data import Split, crops_like, labelled
from benchmarks.compression.quantization_table.judging import Figures, answers, judged, over_seeds, share, written
from benchmarks.compression.quantization_table.page import page
from benchmarks.compression.quantization_table.subjects import NETWORKS, Subject, efficientnet_lite0, trained
from pocketcnn.compression.quantization import QuantizeSettings, quantize
from pocketcnn.compression.quantization.mixed_precision import choose_layers, sensitivities, weight_bytes
from pocketcnn.files import write_text
from pocketcnn.runtimes import this_machine

LEARNED = "learned steps"

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"

Say = Callable[[str], None]


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    start = time.perf_counter()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.perf_counter() - start:6.0f} s  {text}\n")

    for part in options.parts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            for name, found in PARTS[part](options, Path(folder), say):
                keep(options, name, found)
    say("Done")
    return 0


def keep(options: argparse.Namespace, name: str, found: dict[str, Any]) -> None:
    """Put one part of the results in its place in the JSON; several commands may run at once."""
    path = options.out / "quantization.json"
    options.out.mkdir(parents=True, exist_ok=True)
    with (Path(tempfile.gettempdir()) / "pocketcnn-quantization.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        document |= {"machine": asdict(this_machine()), "settings": {"steps": options.steps}}
        if name in NAMES:
            document[name] = found
        else:
            network, seed = name.rsplit(", seed ", 1)
            document.setdefault("networks", {}).setdefault(network, {})[seed] = found
        write_text(path, json.dumps(document, indent=1) + "\n")
        if "networks" in document:
            write_text(options.out / "quantization.md", page(document))


Part = Iterator[tuple[str, dict[str, Any]]]


def networks(options: argparse.Namespace, work: Path, say: Say) -> Part:
    """The small networks: float, ours, the peers, and with learned steps, each file as soon as it is judged."""
    for data in options.data.split(","):
        for name in options.networks.split(","):
            for seed in map(int, options.seeds.split(",")):
                yield from small(name, data, seed, options, work, say)


def small(name: str, data: str, seed: int, options: argparse.Namespace, work: Path, say: Say) -> Part:
    """One network on one set from one seed."""
    subject = subject_of(options, name, data, seed)
    exact = answers(written(subject.network.graph, work / "float.onnx"), subject.test)
    found: dict[str, Any] = {
        "test_images": len(subject.test),
        "accuracy": share(exact.argmax(1) == subject.labels),
        "calibration": len(subject.calibration),
        "tuning": options.tuning,
        "rows": {},
    }
    for way, figure in chain(
        ways(subject, work, (), ours.SHORT),
        tuned(subject, exact, labelled(data), seed, options, work),
        ways(subject, work, options.peers.split(","), list(ours.WAYS) if options.all_ways else ()),
    ):
        say(f"{subject.name}: float {found['accuracy']:.2%}, {way} {figure.accuracy:.2%}")
        found["rows"][way] = asdict(figure)
        yield f"{name} on {data}, seed {seed}", found


def tuned_on_crops(subject: Subject, options: argparse.Namespace, work: Path) -> Iterator[tuple[str, Figures]]:
    """The defaults, trained on with learned steps, against the float answers on crops of the photographs for calibration."""
    float_file = written(subject.network.graph, work / "float.onnx")
    split = crops_like(partial(answers, float_file), options.tuning * 4, 64)
    quantized = quantize(subject.network, subject.calibration)
    steps = len(split.train) // ours.PHOTOGRAPHS.batch_size
    network = ours.fine_tuned(quantized, subject.network, split, steps=steps, seed=0, recipe=ours.PHOTOGRAPHS)
    file = written(network.graph, work / "tuned.onnx")
    yield f"ours, {LEARNED}", judged(file, subject.test, subject.labels, answers(float_file, subject.test))


def tuned(
    subject: Subject, exact: Tensor, split: Split, seed: int, options: argparse.Namespace, work: Path
) -> Iterator[tuple[str, Figures]]:
    """The defaults, trained on with learned steps."""
    quantized = quantize(subject.network, subject.calibration)
    network = ours.fine_tuned(quantized, subject.network, split, steps=options.tuning, seed=seed)
    file = written(network.graph, work / "tuned.onnx")
    yield f"ours, {LEARNED}", judged(file, subject.test, subject.labels, exact)


def subject_of(options: argparse.Namespace, name: str, data: str, seed: int, activation: str = "") -> Subject:
    """A network trained as the command asks for."""
    return trained(name, data, seed, options.steps, images=options.images, cache=options.cache, activation=activation)


def ways(subject: Subject, work: Path, others: Sequence[str], chosen: Sequence[str]) -> Iterator[tuple[str, Figures]]:
    """Every file that is made of a subject after training, judged."""
    float_file = written(subject.network.graph, work / "float.onnx")
    exact = answers(float_file, subject.test)
    for way in chosen:
        quantized = quantize(subject.network, subject.calibration, settings=ours.WAYS[way])
        file = written(quantized.graph, work / "ours.onnx")
        yield f"ours, {way}", judged(file, subject.test, subject.labels, exact)
    for title in filter(None, others):
        file = peers.PEERS[title](float_file, work / "peer.onnx", subject.calibration)
        yield f"{title}", judged(file, subject.test, subject.labels, exact)


def imagenet(options: argparse.Namespace, work: Path, say: Say) -> Part:
    """EfficientNet-Lite0 on crops of photographs, beside its float answers, row by row."""
    subject = efficientnet_lite0(calibration=options.calibration, test=options.crops)
    found: dict[str, Any] = {
        "network": subject.name,
        "calibration": len(subject.calibration),
        "test_images": len(subject.test),
        "rows": {},
    }
    chosen = options.ways.split(",") if options.ways else [*ours.WAYS, LEARNED]
    for way, figure in chain(
        ways(subject, work, options.peers.split(","), [way for way in chosen if way != LEARNED]),
        tuned_on_crops(subject, options, work) if LEARNED in chosen else (),
    ):
        say(f"{subject.name}: {way} agrees on {figure.agreement:.1%}, {figure.noise_db:.1f} dB")
        found["rows"][way] = asdict(figure)
        yield "imagenet", found


def clipping(options: argparse.Namespace, work: Path, say: Say) -> Part:
    """MobileNetV2 trained with ReLU6 and with ReLU, quantized to few bits."""
    found: dict[str, dict[str, list[Figures]]] = {}
    exact: dict[str, list[float | None]] = {}
    for activation in ("relu6", "relu"):
        for seed in map(int, options.seeds.split(",")):
            instead = "" if activation == "relu6" else activation  # which it has anyway
            subject = trained(
                "mobilenet_v2",
                "digits",
                seed,
                steps=options.steps,
                images=options.images,
                cache=options.cache,
                activation=instead,
            )
            logits = answers(written(subject.network.graph, work / "float.onnx"), subject.test)
            exact.setdefault(activation, []).append(share(logits.argmax(1) == subject.labels))
            for bits in (8, 6, 4):
                settings = QuantizeSettings(activation_bits=bits, weight_bits=bits)
                quantized = quantize(subject.network, subject.calibration, settings=settings)
                file = written(quantized.graph, work / "bits.onnx")
                figure = judged(file, subject.test, subject.labels, logits)
                found.setdefault(activation, {}).setdefault(str(bits), []).append(figure)
                say(f"{subject.name}, {bits} bits: {figure.accuracy:.2%}")
    yield (
        "clipping",
        {
            activation: {
                "accuracy": exact[activation],
                "rows": {bits: over_seeds(figures, exact[activation]) for bits, figures in rows.items()},
            }
            for activation, rows in found.items()
        },
    )


def mixed(options: argparse.Namespace, work: Path, say: Say) -> Part:
    """The weights of MobileNetV2 brought to shares of their 8-bit bytes, seed by seed."""
    rows: dict[str, list[Figures]] = {}
    exact: list[float | None] = []
    for seed in map(int, options.seeds.split(",")):
        subject = subject_of(options, "mobilenet_v2", "digits", seed)
        logits = answers(written(subject.network.graph, work / "float.onnx"), subject.test)
        exact.append(share(logits.argmax(1) == subject.labels))
        plain = QuantizeSettings()
        whole = quantize(subject.network, subject.calibration, settings=plain).graph
        found = sensitivities(whole, subject.calibration, plain)
        for percent in (100, 90, 75, 60, 50):
            low = choose_layers(found, weight_bytes(whole) * (100 - percent) // 100)
            settings = plain.with_(layer_bits=dict.fromkeys(low, plain.low_bits))
            quantized = quantize(subject.network, subject.calibration, settings=settings)
            figure = judged(written(quantized.graph, work / "mixed.onnx"), subject.test, subject.labels, logits)
            rows.setdefault(str(percent), []).append(replace(figure, size=weight_bytes(quantized.graph)))
            say(f"{subject.name}, {percent} % of the bytes: {figure.accuracy:.2%}")
        yield "mixed", {"accuracy": exact, "rows": {way: over_seeds(figures, exact) for way, figures in rows.items()}}


PARTS: Mapping[str, Callable[[argparse.Namespace, Path, Say], Part]] = MappingProxyType(
    {"networks": networks, "imagenet": imagenet, "clipping": clipping, "mixed": mixed}
)
NAMES = PARTS.keys() - {"networks"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="of the trainings, with commas between")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to run; the other figures stay as they are")
    parser.add_argument("--data", default="digits,mnist", help="sets, with commas between")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--images", type=int, default=128, help="training images to calibrate the small networks on")
    parser.add_argument("--steps", type=int, default=320, help="of the training of the float networks")
    parser.add_argument("--tuning", type=int, default=160, help="steps of training with learned step sizes")
    parser.add_argument("--calibration", type=int, default=96, help="photographs' crops to calibrate on")
    parser.add_argument("--crops", type=int, default=1200, help="crops to compare answers on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--cache", type=Path, default=None, help="a folder that keeps the trained networks for another run"
    )
    parser.add_argument("--all-ways", action="store_true", help="each of our methods for the small networks too")
    parser.add_argument("--ways", default="", help="of our methods on photographs, with commas between; all by default")
    parser.add_argument("--peers", default=",".join(peers.PEERS), help="tools of others, with commas between")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
