"""Parity or no export: an artefact beside the network in PyTorch, on the same images."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph.network import GraphNetwork, predictions
from pocketcnn.runtimes.divergence import divergence
from pocketcnn.runtimes.registry import get_runtime

BATCH = 64
"""Images at a time."""

TOLERANCE = {"float32": 1e-3, "int8": 0.02}
"""Share of the range of the logits that the worst error may be before the first layer that differs is looked for."""

MOST_TELLING = 16
"""Images that the search looks at: those with the worst errors."""


@dataclass(frozen=True, slots=True)
class Parity:
    """What came of it.

    Attributes:
        images: how many there were.
        agreement: share of the images with the same top-1 class.
        float_agreement: the same between the artefact and the float network that it stands for, if one was given.
        worst_error: largest absolute difference of a logit.
        mean_error: mean absolute difference of the logits.
        first_difference: the first layer, in the order of the graph, that computes something else from the same inputs
            (see `divergence`), or what else is wrong; None if nothing is, or if it was not looked for.
    """

    images: int
    agreement: float
    float_agreement: float | None
    worst_error: float
    mean_error: float
    first_difference: str | None


@dataclass(frozen=True, slots=True)
class Answers:
    """The logits (N, classes) of a network in PyTorch, and those of the float network that it stands for, if there is one."""

    logits: Tensor
    float_logits: Tensor | None = None


def pytorch_answers(network: GraphNetwork, images: Tensor, float_network: GraphNetwork | None = None) -> Answers:
    """What artefacts of `network` are compared with on `images` (N, C, H, W)."""
    return Answers(
        predictions(network, images, BATCH).cpu(),
        predictions(float_network, images, BATCH).cpu() if float_network else None,
    )


def parity(
    network: GraphNetwork,
    artefact: Path | bytes,
    images: Tensor,
    *,
    float_network: GraphNetwork | None = None,
    runtime: str = "onnxruntime",
    search: bool | None = None,
    answers: Answers | None = None,
) -> Parity:
    """Run `artefact` on `runtime` and `network` in PyTorch on the same images and compare their logits.

    Args:
        network: what the artefact was exported from.
        artefact: the file, or its bytes.
        images: (N, C, H, W), preprocessed; real ones, because random images seldom come near a decision.
        float_network: the network before quantization.
        search: look for the first layer that differs; None: if the worst error is above `TOLERANCE`.
        answers: those of PyTorch to `images`, for whoever compares several artefacts with them.

    Raises:
        UsageError: there are no images.
        PocketcnnError: the artefact cannot be run on these images, or gives outputs of another shape.
    """
    if len(images) == 0:
        raise UsageError("Parity needs at least one image.")
    found, known = _outputs(artefact, images, runtime), answers or pytorch_answers(network, images, float_network)
    expected = known.logits
    if found.shape != expected.shape:
        raise PocketcnnError(
            f"The artefact gives outputs of shape {tuple(found.shape)} where the network gives {tuple(expected.shape)}: "
            "it holds another network. Export it again."
        )
    error = (found - expected).abs()
    tolerance = TOLERANCE["int8" if network.numerics else "float32"] * float(expected.max() - expected.min())
    wanted = (
        not float(error.max()) <= tolerance if search is None else search
    )  # an error that is no number is looked into
    worst_first = error.flatten(1).amax(1).argsort(descending=True)[:MOST_TELLING]
    return Parity(
        images=len(images),
        agreement=_agreement(found, expected),
        float_agreement=None if known.float_logits is None else _agreement(found, known.float_logits),
        worst_error=float(error.max()),
        mean_error=float(error.mean()),
        first_difference=divergence(network, images[worst_first], found[worst_first], runtime) if wanted else None,
    )


def _outputs(artefact: Path | bytes, images: Tensor, runtime: str) -> Tensor:
    with closing(get_runtime(runtime).build(artefact, threads=1)) as session:
        batches = [np.ascontiguousarray(batch.cpu().numpy(), np.float32) for batch in torch.split(images, BATCH)]
        return torch.from_numpy(np.concatenate([session.run(batch) for batch in batches]))


def _agreement(first: Tensor, second: Tensor) -> float:
    return float((first.argmax(1) == second.argmax(1)).double().mean())
