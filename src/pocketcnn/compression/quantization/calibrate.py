"""The range of every value, seen on real images, and the scale and zero point that store it best."""

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
"""Values kept a batch for the methods that look at the distribution; minimum and maximum are exact."""


@dataclass
class ObservedRange:
    """What was seen of one value: exact minimum and maximum, and a sample of the rest."""

    low: float = 0.0  # zero is always in the range: padding and ReLU need it exact
    high: float = 0.0
    samples: list[Tensor] = field(default_factory=list)

    def see(self, value: Tensor) -> None:
        """Take one batch into account."""
        flat = value.detach().flatten().float()
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        self.samples.append(flat.clone() if len(flat) <= SAMPLES_PER_BATCH else flat[_sampled_indices(len(flat))])

    def sample(self) -> Tensor:
        """All the values that were kept."""
        return torch.cat(self.samples)


def _sampled_indices(count: int) -> Tensor:
    """SAMPLES_PER_BATCH of `count` places, the same every time.

    Drawn, not evenly spaced: a step that divides the width of a map would see one of its columns only.
    """
    return torch.randint(count, (SAMPLES_PER_BATCH,), generator=torch.Generator().manual_seed(count))


def observe(
    network: GraphNetwork, images: Tensor, names: Collection[str], batch_size: int = 64
) -> dict[str, ObservedRange]:
    """Run `images` (N, C, H, W) through the float network and watch the values `names`.

    Raises:
        UsageError: no images, or values that are not finite.
    """
    if len(images) == 0:
        raise UsageError("Calibration needs at least one image.")
    seen = {name: ObservedRange() for name in names}

    def watch(node: Node, value: Tensor) -> None:
        if node.name in seen:
            if not torch.isfinite(value).all():
                raise UsageError(
                    f"Calibration met infinite or undefined values after {node.name!r}; train the network first."
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
    """The unsigned affine format that covers low … high, zero included and exact (Jacob et al., section 3, eq. 13).

    A symmetric one has its zero in the middle of the integers, or at their lower end where no value is negative.
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
    """Everything that was seen fits; one outlier makes every step coarser."""
    return affine_format(seen.low, seen.high, bits, symmetric=symmetric)


def percentile(seen: ObservedRange, bits: int, *, symmetric: bool = False, keep: float = 0.9999) -> ActivationFormat:
    """The middle `keep` of the values fits; the rest saturates."""
    sample = seen.sample().numpy()
    tail = (1 - keep) / 2
    low, high = float(np.quantile(sample, tail)), float(np.quantile(sample, 1 - tail))
    return affine_format(low, high, bits, symmetric=symmetric)


def mse(seen: ObservedRange, bits: int, *, symmetric: bool = False, steps: int = 24) -> ActivationFormat:
    """The range, among shrunken forms of the whole one, with the least mean square error of the stored values."""
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
    """The range, among shrunken forms of the whole one, whose histogram loses least information when it is stored.

    Zeros, half of what a ReLU makes, are left out: every format stores them exactly.
    """
    sample = seen.sample()
    low, high = entropy_range(sample[sample != 0].numpy(), seen.low, seen.high, 1 << bits)
    return affine_format(low, high, bits, symmetric=symmetric)


def input_format(
    contract: InputContract | None, seen: ObservedRange, bits: int, *, symmetric: bool = False
) -> ActivationFormat:
    """The format of the images: all that pixels can be after preprocessing, or all that was seen where that is not known.

    In 8 bits a step is then one step of the pixels, where all channels have the same deviation, and nothing is lost. A
    narrower range, as would suit the values of a layer, puts the pixels between the steps.
    """
    if contract is not None:
        pairs = list(zip(contract.mean, contract.std, strict=True))
        low, high = min(-mean / std for mean, std in pairs), max((1 - mean) / std for mean, std in pairs)
        slack = 0.01 * (high - low)
        if low - slack <= seen.low and seen.high <= high + slack:  # else the images are none
            return affine_format(low, high, bits, symmetric=symmetric)
    return minmax(seen, bits, symmetric=symmetric)


class Method(Protocol):
    """Chooses the format of a value from what was seen of it."""

    def __call__(self, seen: ObservedRange, bits: int, *, symmetric: bool = False) -> ActivationFormat: ...


METHODS: Mapping[str, Method] = MappingProxyType(
    {"minmax": minmax, "percentile": percentile, "mse": mse, "entropy": entropy}
)
