"""One network in the forms in which it can be stored; each is written, read back, and judged as it was read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pocketcnn as pc
from benchmarks.compression.quantization_table.subjects import Subject
from pocketcnn.compression.quantization import QuantizeSettings, quantize
from pocketcnn.compression.quantization.mixed_precision import weight_bytes
from pocketcnn.graph import GraphNetwork, for_inference, predictions

MIXED = 0.625
"""Share of the 8-bit bytes that mixed precision keeps: three quarters of the weights in 4 bits."""

Make = Callable[[Subject], GraphNetwork]


def folded(subject: Subject) -> GraphNetwork:
    return GraphNetwork(for_inference(subject.network.graph))


def int8(subject: Subject) -> GraphNetwork:
    return quantize(subject.network, subject.calibration)


def mixed(subject: Subject) -> GraphNetwork:
    """8 and 4 bits by the measured sensitivity of each layer."""
    chosen = QuantizeSettings(weight_bytes=int(weight_bytes(int8(subject).graph) * MIXED) + 1)
    return quantize(subject.network, subject.calibration, settings=chosen)


def shared(bits: int) -> Make:
    """k-means in every layer, no training."""
    return lambda subject: pc.cluster_weights(subject.network, pc.ClusterSettings(bits=bits))


FORMS: Mapping[str, tuple[Make, bool]] = {
    "float32": (folded, False),
    "float32, coded": (folded, True),
    "int8": (int8, False),
    "int8, coded": (int8, True),
    "4 and 8 bits mixed, coded": (mixed, True),
    "shared in 8 bits, coded": (shared(8), True),
    "shared in 6 bits, coded": (shared(6), True),
    "shared in 4 bits, coded": (shared(4), True),
}


LARGE = ("float32", "int8", "int8, coded", "shared in 6 bits, coded", "shared in 4 bits, coded")
"""Of a large network; the others take long: mixed precision runs it once for each layer."""


def all_forms(
    subject: Subject, folder: Path, names: Sequence[str] = tuple(FORMS)
) -> tuple[dict[str, dict[str, Any]], float]:
    """Bytes of the file in each form, the share of answers like those of the float network, and of right ones.

    Also the accuracy of the float network. Both are 0 where there are no labels. What a file gives is compared with what
    was written, tensor by tensor; networks that are the same to the bit are run once.
    """
    exact = classes(subject.network, subject.test)
    answers: dict[Make, Tensor] = {}
    made: dict[Make, GraphNetwork] = {}
    found = {}
    for name in names:
        make, coded = FORMS[name]
        if make not in made:
            torch.manual_seed(0)
            made[make] = make(subject).eval()
        path = pc.save(folder / "network.safetensors", made[make], coding="range" if coded else None)
        read = pc.load(path).eval()
        if make not in answers:
            answers[make] = classes(read, subject.test)
            first = read
        elif any(not torch.equal(value, first.state_dict()[key]) for key, value in read.state_dict().items()):
            raise AssertionError(f"{name}: the file holds another network")
        found[name] = {
            "bytes": path.stat().st_size,
            "agreement": _share(answers[make] == exact),
            "accuracy": 0.0 if subject.labels is None else _share(answers[make] == subject.labels),
        }
    return found, 0.0 if subject.labels is None else _share(exact == subject.labels)


def classes(network: GraphNetwork, images: Tensor) -> Tensor:
    """The first answers (N,) for images (N, C, H, W)."""
    return predictions(network, images, 64).argmax(1)


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())
