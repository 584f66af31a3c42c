"""Parity check of an exported artefact: the network in PyTorch and the artefact on its runtime, on the same images."""

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
"""Images per batch."""

TOLERANCE = {"float32": 1e-3, "int8": 0.02}
"""Largest error that passes, as a share of the range of the logits; above it the first layer that differs is located."""

WORST_IMAGES = 16
"""Number of images on which the first differing layer is located: those with the largest errors."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The result of a parity check.

    Attributes:
        images: number of images compared.
        agreement: share of the images with the same top-1 class.
        float_agreement: the same between the artefact and the network before quantization; None if that was not given.
        worst_error: largest absolute difference of a logit.
        mean_error: mean absolute difference of the logits.
        first_difference: the first layer, in the order of the graph, that computes a different result from the same inputs
            (see `divergence`), or another cause; None if there is no difference or it was not located.
    """

    images: int
    agreement: float
    float_agreement: float | None
    worst_error: float
    mean_error: float
    first_difference: str | None


@dataclass(frozen=True, slots=True)
class ReferenceLogits:
    """The logits (N, classes) of a network in PyTorch, and those of the network before quantization, if it was given."""

    logits: Tensor
    float_logits: Tensor | None = None


def reference_logits(
    network: GraphNetwork, images: Tensor, float_network: GraphNetwork | None = None
) -> ReferenceLogits:
    """PyTorch's logits for `images` (N, C, H, W), with which artefacts of `network` are compared."""
    return ReferenceLogits(
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
    reference: ReferenceLogits | None = None,
) -> Parity:
    """Run `artefact` on `runtime` and `network` in PyTorch on the same images and compare their logits.

    Args:
        network: what the artefact was exported from.
        artefact: the file, or its bytes.
        images: (N, C, H, W), preprocessed. Use real images: random ones are rarely near a decision boundary.
        float_network: the network before quantization.
        runtime: name of the runtime that runs the artefact.
        search: whether to locate the first layer that differs; None: only if the worst error is above `TOLERANCE`.
        reference: PyTorch's logits for `images`, to compare several artefacts with one computation of them.

    Raises:
        UsageError: there are no images.
        PocketcnnError: the artefact cannot run on these images, or its outputs have another shape.
    """
    if len(images) == 0:
        raise UsageError("Parity needs at least one image.")
    reference = reference or reference_logits(network, images, float_network)
    logits, expected = _outputs(artefact, images, runtime), reference.logits
    if logits.shape != expected.shape:
        raise PocketcnnError(
            f"The artefact's outputs have shape {tuple(logits.shape)}, the network's {tuple(expected.shape)}: "
            "the artefact holds another network. Export it again."
        )
    error = (logits - expected).abs()
    tolerance = TOLERANCE["int8" if network.numerics else "float32"] * float(expected.max() - expected.min())
    locate = (
        not float(error.max()) <= tolerance if search is None else search
    )  # `not … <=`, so that an error of NaN is located too
    worst_first = error.flatten(1).amax(1).argsort(descending=True)[:WORST_IMAGES]
    return Parity(
        images=len(images),
        agreement=_agreement(logits, expected),
        float_agreement=None if reference.float_logits is None else _agreement(logits, reference.float_logits),
        worst_error=float(error.max()),
        mean_error=float(error.mean()),
        first_difference=divergence(network, images[worst_first], logits[worst_first], runtime) if locate else None,
    )


def _outputs(artefact: Path | bytes, images: Tensor, runtime: str) -> Tensor:
    with closing(get_runtime(runtime).build(artefact, threads=1)) as session:
        batches = [np.ascontiguousarray(batch.cpu().numpy(), np.float32) for batch in torch.split(images, BATCH)]
        return torch.from_numpy(np.concatenate([session.run(batch) for batch in batches]))


def _agreement(first: Tensor, second: Tensor) -> float:
    return float((first.argmax(1) == second.argmax(1)).double().mean())
