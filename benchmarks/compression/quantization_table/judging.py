"""What an ONNX file answers in ONNX Runtime, beside the float network: the one judge of ours and of all others."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import Graph
from pocketcnn.runtimes import get_runtime


@dataclass(frozen=True)
class Figures:
    """Shares run from 0 to 1.

    `accuracy` is of the labels, None where there are none; `agreement` with the float network's answers; `noise_db` is the
    ratio of signal to quantization noise in the logits, in decibels; `size` is of the file, in bytes.
    """

    accuracy: float | None
    agreement: float
    noise_db: float
    size: int


def answers(file: Path, images: Tensor, batch: int = 64) -> Tensor:
    """The logits (N, classes) that an ONNX file gives in ONNX Runtime."""
    session = get_runtime("onnxruntime").build(file, threads=1)
    found = [session.run(np.ascontiguousarray(part.numpy())) for part in torch.split(images, batch)]
    session.close()
    return torch.from_numpy(np.concatenate(found))


def judged(file: Path, images: Tensor, labels: Tensor | None, exact: Tensor) -> Figures:
    """The figures of a file; `exact` are the float logits."""
    found = answers(file, images)
    noise = (found - exact).square().mean()
    return Figures(
        accuracy=None if labels is None else share(found.argmax(1) == labels),
        agreement=share(found.argmax(1) == exact.argmax(1)),
        noise_db=float(10 * torch.log10(exact.var() / noise.clamp_min(1e-20))),
        size=file.stat().st_size,
    )


def share(hits: Tensor) -> float:
    return float(hits.double().mean())


def written(graph: Graph, path: Path) -> Path:
    """The graph as an ONNX file of plain operators, which every tool reads."""
    path.write_bytes(to_onnx(graph, names="full").SerializeToString())
    return path


def over_seeds(figures: Sequence[Figures], exact: Sequence[float | None]) -> dict[str, Any]:
    """Means over seeds with standard deviations; `exact` are the accuracies of the float networks."""
    lost = [
        before - each.accuracy
        for before, each in zip(exact, figures, strict=True)
        if before is not None and each.accuracy is not None
    ]
    return {
        "lost": _spread(lost, max),
        "agreement": _spread([each.agreement for each in figures], min),
        "noise_db": _spread([each.noise_db for each in figures], min),
        "size": round(mean(each.size for each in figures)),
        "seeds": [asdict(each) for each in figures],
    }


def _spread(values: Sequence[float], worst: Callable[[Sequence[float]], float]) -> dict[str, float] | None:
    if not values:
        return None
    deviation = stdev(values) if len(values) > 1 else 0.0
    return {"mean": mean(values), "deviation": deviation, "worst": worst(values)}
