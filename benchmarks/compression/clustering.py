"""Clustered weights on photographs: k-means that moves its empty centres, beside plain k-means.

    python -m benchmarks.compression.clustering --photographs FOLDER                   # some 10 minutes of two cores
    python -m benchmarks.compression.clustering --photographs FOLDER --networks 0 --bits 4

EfficientNet-Lite0 to 2 with the weights of ImageNet, not trained after clustering. FOLDER holds photographs whose names
begin with the index of their ImageNet class: ``0207_golden_retriever.webp``. Both methods see the same network and images;
the control is the same code without moved centres. Wants the extra `imagenet`. Writes
docs/benchmarks/compression/clustering.json and .md.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks.compression.quantization_table.subjects import pretrained
from pocketcnn.compression.coding import ClusterSettings, cluster_weights, clustering
from pocketcnn.compression.coding.sparsity import weight_names
from pocketcnn.data import load_image
from pocketcnn.data.preprocess import preprocess
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork, InputContract
from pocketcnn.runtimes import this_machine
from pocketcnn.training import wilson_interval

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"
NETWORKS = {0: 224, 1: 240, 2: 260}
"""EfficientNet-Lite number -> side of its images in pixels."""

BITS = (4, 5, 6, 8)
BATCH = 20
METHODS = {"plain k-means": 0.0, "k-means, empty centres moved": clustering.MIN_USED_RATIO}
"""Name -> the share of used centres up to which empty ones are moved; none is moved at 0."""

INTRODUCTION = """# Clustered weights on photographs

Made by `python -m benchmarks.compression.clustering --photographs FOLDER`. EfficientNet-Lite with the weights of ImageNet.
Each layer is clustered to 2^bits values and not trained after that. Every second class of ImageNet has one photograph, taken
from its training set: read the differences, not the accuracies. In brackets: 95 % intervals.

Plain k-means starts from evenly spaced centres. Where a few weights lie far from the others, as in a depthwise layer with
folded batch normalization, most centres are left without weights. The default moves empty centres into the clusters with the
largest error.
"""
HEADER = (
    *("network", "bits", "method", "agrees with float32", "accuracy"),
    *("layers with half of the centres empty", "fewest centres used"),
)


def main() -> int:
    options = arguments()
    rows = [row for number in options.networks for row in compared(number, options.photographs, options.bits)]
    found = {"rows": rows, "machine": asdict(this_machine())}
    write_text(options.out / "clustering.json", json.dumps(found, indent=1) + "\n")
    write_text(options.out / "clustering.md", page(found))
    return 0


def compared(number: int, photographs: Path, bits: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """A row for each number of bits and method: accuracy, agreement with float, and the centres that layers use."""
    side = NETWORKS[number]
    contract = InputContract(height=side, width=side, resize="crop", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    files = sorted(photographs.glob("[0-9][0-9][0-9][0-9]_*"))
    images = torch.stack([preprocess(load_image(file, 3), contract) for file in files])
    labels = torch.tensor([int(file.name[:4]) for file in files])
    network = GraphNetwork(pretrained(number).graph).eval()
    exact = answers(network, images)
    told = {"network": f"efficientnet_lite{number}", "images": len(files)}
    yield {**told, "bits": 32, "method": "float32", **figures(exact, exact, labels)}
    for width in bits:
        for method, ratio in METHODS.items():
            with moving_centres(ratio):
                clustered = cluster_weights(network, ClusterSettings(bits=width))
            used = centres_used(clustered.graph, width)
            row = {**told, "bits": width, "method": method, **figures(answers(clustered, images), exact, labels)}
            row |= {"least_used": min(used), "half_empty": sum(share < 0.5 for share in used), "layers": len(used)}
            sys.stderr.write(f"{row}\n")
            yield row


@contextmanager
def moving_centres(up_to: float) -> Iterator[None]:
    """k-means that moves its empty centres where at most this share of them is used."""
    with mock.patch.object(clustering, "MIN_USED_RATIO", up_to):
        yield


@torch.no_grad()
def answers(network: GraphNetwork, images: Tensor) -> Tensor:
    """The classes (N,) of images (N, 3, H, W)."""
    network.eval()
    return torch.cat([network(batch).argmax(1) for batch in images.split(BATCH)])


def figures(found: Tensor, exact: Tensor, labels: Tensor) -> dict[str, Any]:
    """Shares of photographs with their 95 % intervals."""
    right, same, count = int((found == labels).sum()), int((found == exact).sum()), len(labels)
    return {
        "top1": right / count,
        "top1_interval": wilson_interval(right, count),
        "agreement": same / count,
        "agreement_interval": wilson_interval(same, count),
    }


def centres_used(graph: Graph, bits: int) -> list[float]:
    """For each layer with more weights than centres, the share of the 2^bits centres that its weights use."""
    tensors = [graph.tensors[name] for name in weight_names(graph)]
    return [len(each[each != 0].unique()) / (1 << bits) for each in tensors if each.numel() > 1 << bits]


def page(found: dict[str, Any]) -> str:
    """The table as Markdown, made of the JSON alone."""
    lines = [INTRODUCTION, f"| {' | '.join(HEADER)} |", "| --- | ---: | --- | ---: | ---: | ---: | ---: |"]
    for row in found["rows"]:
        centres = (
            (f"{row['half_empty']} of {row['layers']}", f"{row['least_used']:.0%}") if "layers" in row else ("", "")
        )
        cells = (
            row["network"],
            str(row["bits"]),
            row["method"],
            _share(row, "agreement"),
            _share(row, "top1"),
            *centres,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _share(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.1%} ({low:.1%} to {high:.1%})"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder of photographs, CLASS_*.webp")
    parser.add_argument("--networks", type=int, nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--bits", type=int, nargs="+", default=BITS)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
