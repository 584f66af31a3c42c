"""Features of a kernel: its work in physical units, and its coordinates among other kernels.

`work` has amounts to which the time is proportional (multiply-adds, values read and written, weights, calls). A sum of them
with non-negative coefficients extrapolates to sizes that were never measured. `position_features` are coordinates: kernels of
one family with similar coordinates have similar residuals.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log2, prod

import numpy as np
import numpy.typing as npt

from pocketcnn.targets.latency.kernels import Kernel

Floats = npt.NDArray[np.float64]

SAME_KERNEL = {"relu6": "clip", "prelu": "leaky_relu"}
"""Activations that are computed in the same way. ReLU is separate: kernel libraries have it built in, and clip in an extra
pass."""

LANES = 4
"""Kernel libraries use slower code if channels do not fill a vector register; 4 float32 is the smallest common one."""

GROUP_WIDTHS = (16, 8, LANES)
"""Channels of a group that fill a register of AVX-512, of AVX2, and the smallest common one. A library has fast code for
groups that fill the registers of the processor, and computes others by a general matrix product, several times slower."""

TILES = ((1, 1), (8, 8), (8, 16), (16, 16), (16, 64))
"""(Input, output) channels that a blocked convolution computes together; the last tile takes as long as a full one."""

CHANNEL_TILES = (1, 8, 16)
"""Channels that channel-wise kernels compute together."""

BLOCKED = ("conv", "pointwise", "grouped")
"""Kinds of kernels that compute blocks of channels."""

LARGEST_WINDOW = {"depthwise": 7, "conv": 4, "grouped": 3}
"""Windows of at least this size share their coefficients."""

FEW_INPUTS = 8
"""With fewer input channels, such as those of an image, a convolution has a kernel of its own; with AVX-512 also with fewer than
twice as many, which is a coordinate of the kernel."""

LOG_OFFSET = 1000
"""Added to amounts that may be zero before taking the logarithm."""

STREAMED = frozenset({"linear", "vector"})
"""Kinds that use each weight once per call: their time is that of loading the weights."""

FOOTPRINTS = tuple(2.0**power for power in np.arange(17.5, 26.0))
"""Working-set sizes, in elements, at which a level of the memory hierarchy may end."""


def family(kernel: Kernel) -> str:
    """The family of a kernel: kernels that are compared with each other."""
    if kernel.kind in ("conv", "pointwise") and kernel.inputs[0][0] < FEW_INPUTS:
        return f"{kernel.kind}, few inputs"
    if kernel.kind == "grouped":
        return f"grouped by {group_width(kernel)}"
    return kernel.kind if _fills_lanes(kernel) else f"{kernel.kind}, odd channels"


def group_width(kernel: Kernel) -> int:
    """The largest of `GROUP_WIDTHS` of which the inputs and the outputs of a group are multiples, or else 1."""
    inputs, outputs = kernel.inputs[0][0] // kernel.groups, kernel.output[0] // kernel.groups
    return next((width for width in GROUP_WIDTHS if inputs % width == outputs % width == 0), 1)


def _fills_lanes(kernel: Kernel) -> bool:
    if kernel.kind == "depthwise":
        return kernel.output[0] % LANES == 0
    if kernel.kind in ("conv", "pointwise", "vector"):
        return kernel.inputs[0][0] % LANES == 0
    return True


def work(kernel: Kernel) -> Mapping[str, float]:
    """Amounts of work by name; the names are those of the coefficients in `regression`."""
    group = _group(kernel)
    amounts: dict[str, float] = {
        f"{group}: call": 1,
        f"{group}: read": kernel.read,
        f"{group}: written": kernel.written,
    }
    if kernel.weights:
        amounts[f"{group}: weights"] = kernel.weights
    for name, taps in _taps(kernel).items():
        for tile in _tiles(kernel):
            amounts[f"{group}: madds{name} in tiles of {tile[0]} x {tile[1]}"] = taps * _tiled_channels(kernel, tile)
    if kernel.kind == "grouped":
        amounts[f"{group}: groups"] = kernel.groups
    if kernel.kind in ("max_pool", "avg_pool"):
        amounts[f"{group}: window"] = kernel.written * prod(kernel.window)
    for operation in kernel.fused:
        amounts[f"+ {SAME_KERNEL.get(operation, operation)}: values"] = kernel.written
    return amounts


def coarse_work(kernel: Kernel) -> Mapping[str, float]:
    """Amounts that all kinds of kernels share, for kinds that were never measured."""
    moved = kernel.read + kernel.written + kernel.weights
    return {"any: call": 1, "any: values": moved, "any: madds": kernel.madds}


def has_coefficients(kernel: Kernel, coefficients: Mapping[str, float]) -> bool:
    """Whether there are coefficients for kernels of this group."""
    return f"{_group(kernel)}: call" in coefficients


def _group(kernel: Kernel) -> str:
    """Kernels that share coefficients: a family, split by window and stride where implementations usually differ."""
    if kernel.kind not in LARGEST_WINDOW:
        return family(kernel)
    window = min(max(kernel.window), LARGEST_WINDOW[kernel.kind])
    return (
        f"{family(kernel)} {window}/{min(*kernel.stride, 2)}"
        if kernel.kind == "depthwise"
        else f"{family(kernel)} {window}"
    )


def _tiles(kernel: Kernel) -> Sequence[tuple[int, int]]:
    if kernel.kind in BLOCKED:
        return TILES
    if kernel.kind == "depthwise":
        return [(1, tile) for tile in CHANNEL_TILES]
    return TILES[:1] if kernel.madds else ()


def _tiled_channels(kernel: Kernel, tile: tuple[int, int]) -> float:
    """Pairs of input and output channels that are computed, including those that only fill a tile."""
    if kernel.kind == "depthwise":
        return float(_up(kernel.output[0], tile[1]))
    if kernel.kind not in BLOCKED:
        return kernel.madds / max(1, prod(kernel.window) * prod(kernel.output[1:]))
    inputs, outputs = kernel.inputs[0][0] // kernel.groups, kernel.output[0] // kernel.groups
    return float(_up(inputs, tile[0] if inputs >= tile[0] else 1) * _up(outputs, tile[1]) * kernel.groups)


def _taps(kernel: Kernel) -> Mapping[str, int]:
    """Multiply-adds per pair of channels: all of them, and without those on padding, which some kernels skip."""
    if not kernel.madds:
        return {}
    every = prod(kernel.window) * prod(kernel.output[1:])
    return {"": every} if kernel.window == (1, 1) else {"": every, " inside": inside(kernel)}


@lru_cache(maxsize=1 << 16)
def inside(kernel: Kernel) -> int:
    """Multiply-adds per pair of channels outside the padding, with equal padding on each side."""
    found = 1
    for axis in (0, 1):
        window, stride = kernel.window[axis], kernel.stride[axis]
        taken, made = kernel.inputs[0][axis + 1], kernel.output[axis + 1]
        before = max(0, (made - 1) * stride + window - taken) // 2
        starts = (index * stride - before for index in range(made))
        found *= sum(max(0, min(start + window, taken) - max(start, 0)) for start in starts)
    return found


def _up(count: int, tile: int) -> int:
    return -(-count // tile) * tile


FUSED = ("add", "relu", "clip", "hardswish", "silu", "sigmoid", "hardsigmoid")


def position_features(kernel: Kernel) -> Floats:
    """Coordinates of a kernel in its family: binary logarithms of sizes, and indicators of what changes the implementation."""
    inputs, outputs = kernel.inputs[0][0], kernel.output[0]
    fused = {SAME_KERNEL.get(operation, operation) for operation in kernel.fused}
    sizes = (prod(kernel.output[1:]), inputs, outputs)
    taps = _taps(kernel)
    return np.array(
        [
            *map(log2, sizes),
            2.0 * log2(taps[" inside"] / taps[""]) if " inside" in taps else 0.0,
            1.5 * log2(kernel.window[0]),
            1.5 * log2(kernel.window[1]),
            2.0 * log2(kernel.stride[0]),
            0.5 * log2(max(1, inputs // kernel.groups)),
            log2(len(kernel.inputs)),
            float(inputs < 2 * FEW_INPUTS),
            *(float(channels % 4 != 0) for channels in (inputs, outputs)),
            *(float(channels % 8 != 0) for channels in (inputs, outputs)),
            *(0.5 * (channels % 16 != 0) for channels in (inputs, outputs)),
            *(float(operation in fused) for operation in FUSED),
        ]
    )


def network_work(kernels: Mapping[Kernel, int]) -> Mapping[str, float]:
    """Work of a network as a whole: the call, and weights that do not stay in a cache between calls.

    Weights are read in the same order in every call. So a cache smaller than the working set (weights and largest
    activations) holds none of them when they are needed again. The cache sizes are fitted to the measurements.
    """
    streamed = sum(count * kernel.weights for kernel, count in kernels.items() if kernel.kind in STREAMED)
    reused = sum(count * kernel.weights for kernel, count in kernels.items()) - streamed
    touched = streamed + reused + max((kernel.read + kernel.written for kernel in kernels), default=0)
    amounts = {"network: call": 1.0}
    for size in FOOTPRINTS:
        beyond = 1 / (1 + (size / (touched + 1)) ** 3)
        amounts[f"network: streamed beyond {size:.0f}"] = streamed * beyond
        amounts[f"network: reused beyond {size:.0f}"] = reused * beyond
    return amounts


def network_features(kernels: Mapping[Kernel, int], seconds: float) -> Floats:
    """Coordinates of a network, given its approximate latency; they determine how its kernels affect each other.

    Binary logarithms of its time, number of kernels, weights, multiply-adds per second, and size of its largest kernel.
    """
    weights = sum(count * kernel.weights for kernel, count in kernels.items())
    madds = sum(count * kernel.madds for kernel, count in kernels.items())
    largest = max(kernel.read + kernel.written for kernel in kernels)
    rate = (madds + LOG_OFFSET) / (seconds * 1e9)
    sizes = (seconds * 1e6, sum(kernels.values()), weights + LOG_OFFSET, rate, largest)
    return np.array([log2(size) for size in sizes])
