"""Calibration: the observed range of every activation, and the scale and zero point chosen from it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pocketcnn.compression.quantization.entropy import entropy_range
from pocketcnn.errors import UsageError
from pocketcnn.graph import ActivationFormat, GraphNetwork, InputContract, Node

SAMPLES_PER_BATCH = 1 << 15
"""Values sampled per batch for the methods that use the distribution; minimum and maximum are exact."""


@dataclass
class ObservedRange:
    """Observations of one activation: exact minimum and maximum, and sampled values."""

    low: float = 0.0  # zero is always in the range, because padding and ReLU need it exactly
    high: float = 0.0
    samples: list[Tensor] = field(default_factory=list)

    def see(self, value: Tensor) -> None:
        """Add one batch."""
        flat = value.detach().flatten().float()
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        self.samples.append(flat.clone() if len(flat) <= SAMPLES_PER_BATCH else flat[_sampled_indices(len(flat))])

    def sample(self) -> Tensor:
        """All sampled values."""
        return torch.cat(self.samples)


def _sampled_indices(count: int) -> Tensor:
    """SAMPLES_PER_BATCH of `count` indices, the same every time.

    They are random, not evenly spaced: a step that divides the width of a map would sample only one of its columns.
    """
    return torch.randint(count, (SAMPLES_PER_BATCH,), generator=torch.Generator().manual_seed(count))


def observe(
    network: GraphNetwork, images: Tensor, names: Collection[str], batch_size: int = 64
) -> dict[str, ObservedRange]:
    """Run images through the float network and record the activations `names`.

    Args:
        network: a float network; its mode is restored.
        images: (N, C, H, W).
        names: node names.
        batch_size: images per forward pass.

    Raises:
        UsageError: there are no images, or an activation is not finite.
    """
    if len(images) == 0:
        raise UsageError("Calibration needs at least one image.")
    seen = {name: ObservedRange() for name in names}

    def watch(node: Node, value: Tensor) -> None:
        if node.name in seen:
            if not torch.isfinite(value).all():
                raise UsageError(
                    f"Calibration found infinite or NaN activations after {node.name!r}. Train the network first."
                )
            seen[node.name].see(value)

    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                network.run(images[start : start + batch_size], watch)
    finally:
        network.train(training)
    return seen


def affine_format(low: float, high: float, bits: int = 8, *, symmetric: bool = False) -> ActivationFormat:
    """The unsigned affine format that covers low … high, with zero exactly representable (Jacob et al., section 3, eq. 13).

    A symmetric format has its zero point in the middle of the integers, or at 0 if no value is negative.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    levels = (1 << bits) - 1
    middle = 1 << (bits - 1)
    if symmetric and low < 0:
        scale, zero_point = max(-low, high) / (middle - 1), middle
    else:
        scale, zero_point = (high - low) / levels, -1
    scale = float(np.float32(scale))
    if not scale > np.finfo(np.float32).tiny:
        return ActivationFormat(scale=1.0, zero_point=0, bits=bits)
    if zero_point < 0:
        zero_point = int(np.clip(round(-low / scale), 0, levels))
    return ActivationFormat(scale=scale, zero_point=zero_point, bits=bits)


def minmax(seen: ObservedRange, bits: int, *, symmetric: bool = False) -> ActivationFormat:
    """The full observed range; a single outlier makes every step coarser."""
    return affine_format(seen.low, seen.high, bits, symmetric=symmetric)


def percentile(seen: ObservedRange, bits: int, *, symmetric: bool = False, keep: float = 0.9999) -> ActivationFormat:
    """The range of the central share `keep` of the values; the rest saturates."""
    sample = seen.sample().numpy()
    tail = (1 - keep) / 2
    low, high = float(np.quantile(sample, tail)), float(np.quantile(sample, 1 - tail))
    return affine_format(low, high, bits, symmetric=symmetric)


def mse(seen: ObservedRange, bits: int, *, symmetric: bool = False, steps: int = 24) -> ActivationFormat:
    """The scaled-down range with the least mean square error of the stored values."""
    sample = seen.sample()
    best = minmax(seen, bits, symmetric=symmetric)
    least = _error(sample, best)
    for step in range(1, steps):
        share = 1 - step / (2 * steps)
        fmt = affine_format(seen.low * share, seen.high * share, bits, symmetric=symmetric)
        error = _error(sample, fmt)
        if error < least:
            best, least = fmt, error
    return best


def _error(sample: Tensor, fmt: ActivationFormat) -> float:
    stored = torch.round(sample / fmt.scale).clamp_(fmt.low - fmt.zero_point, fmt.high - fmt.zero_point)
    return float((stored * fmt.scale - sample).square().mean())


def entropy(seen: ObservedRange, bits: int, *, symmetric: bool = False) -> ActivationFormat:
    """The scaled-down range whose stored histogram has the least KL divergence.

    Zeros, half of the outputs of a ReLU, are left out: every format stores them exactly.
    """
    sample = seen.sample()
    low, high = entropy_range(sample[sample != 0].numpy(), seen.low, seen.high, 1 << bits)
    return affine_format(low, high, bits, symmetric=symmetric)


def input_format(
    contract: InputContract | None, seen: ObservedRange, bits: int, *, symmetric: bool = False
) -> ActivationFormat:
    """The format of the images: the range of preprocessed pixels, or the observed range if there is no input contract.

    In 8 bits one step is then one pixel value, if all channels have the same standard deviation, and nothing is lost. A
    narrower range, as an activation would get, would put pixels between the steps.
    """
    if contract is not None:
        pairs = list(zip(contract.mean, contract.std, strict=True))
        low, high = min(-mean / std for mean, std in pairs), max((1 - mean) / std for mean, std in pairs)
        slack = 0.01 * (high - low)
        if low - slack <= seen.low and seen.high <= high + slack:  # else these are not images
            return affine_format(low, high, bits, symmetric=symmetric)
    return minmax(seen, bits, symmetric=symmetric)


class Method(Protocol):
    """Chooses the format of an activation from its observations."""

    def __call__(self, seen: ObservedRange, bits: int, *, symmetric: bool = False) -> ActivationFormat: ...


METHODS: Mapping[str, Method] = MappingProxyType(
    {"minmax": minmax, "percentile": percentile, "mse": mse, "entropy": entropy}
)
