"""What the time of a kernel depends on: its work in physical terms, and where it lies among other kernels.

`work` are amounts that take time in proportion (multiply-adds, values read and written, weights, the call itself), so that
a sum of them with rates that are not negative extrapolates to sizes that were never measured. `place` are coordinates in
which kernels of one family that lie near each other reach similar shares of those rates.
"""

from collections.abc import Mapping
from math import log2, prod

import numpy as np
import numpy.typing as npt

from pocketcnn.targets.latency.kernels import Kernel

Floats = npt.NDArray[np.float64]

CHEAP = frozenset({"relu", "relu6", "clip", "leaky_relu", "prelu"})
"""Activations that cost a comparison or two."""

LANES = 4
"""Kernel libraries fall back to slower code where channels do not fill a vector register; 4 float32 is the least common one."""

INPUT_TILE, OUTPUT_TILES = 8, (8, 16)
"""Channels that a blocked convolution computes together; the last tile is as much work as a full one."""

LARGEST_WINDOW = {"depthwise": 7, "conv": 4, "grouped": 4}
"""Windows from here on share their rates."""

FEW_INPUTS = 8
"""Below so many input channels a convolution has code of its own that needs no multiple of anything."""

STREAMED = frozenset({"linear", "vector"})
"""Kinds that use each weight once in a call: their time is that of fetching the weights."""

FOOTPRINTS = tuple(2.0**power for power in np.arange(17.5, 26.0))
"""Elements of weights in a network around which a level of the memory hierarchy may end."""


def family(kernel: Kernel) -> str:
    """Kernels that are compared with each other."""
    return kernel.kind if _fills_lanes(kernel) else f"{kernel.kind}, odd channels"


def _fills_lanes(kernel: Kernel) -> bool:
    if kernel.kind == "depthwise":
        return kernel.output[0] % LANES == 0
    if kernel.kind == "grouped":
        return kernel.inputs[0][0] // kernel.groups % LANES == 0 and kernel.output[0] // kernel.groups % LANES == 0
    if kernel.kind in ("conv", "pointwise", "vector"):
        return kernel.inputs[0][0] < FEW_INPUTS or kernel.inputs[0][0] % LANES == 0
    return True


def work(kernel: Kernel) -> Mapping[str, float]:
    """Amounts by name; the names are those of the rates that `regression` finds."""
    group = _group(kernel)
    amounts: dict[str, float] = {
        f"{group}: call": 1,
        f"{group}: read": kernel.read,
        f"{group}: written": kernel.written,
    }
    if kernel.weights:
        amounts |= {f"{group}: weights": kernel.weights, f"{group}: madds": kernel.madds}
    if kernel.kind in ("conv", "pointwise", "grouped"):
        amounts |= {f"{group}: madds in tiles of {tile}": _tiled_madds(kernel, tile) for tile in OUTPUT_TILES}
    if kernel.kind == "grouped":
        amounts[f"{group}: groups"] = kernel.groups
    if kernel.kind in ("max_pool", "avg_pool"):
        amounts[f"{group}: window"] = kernel.written * prod(kernel.window)
    for operation in kernel.fused:
        name = "cheap" if operation in CHEAP else operation
        amounts[f"+ {name}: values"] = kernel.written
    return amounts


def coarse_work(kernel: Kernel) -> Mapping[str, float]:
    """Amounts that every kind of kernel shares, for kinds that were never measured."""
    moved = kernel.read + kernel.written + kernel.weights
    return {"any: call": 1, "any: values": moved, "any: madds": kernel.madds}


def is_known(kernel: Kernel, rates: Mapping[str, float]) -> bool:
    """Whether there are rates for kernels of this group."""
    return f"{_group(kernel)}: call" in rates


def _group(kernel: Kernel) -> str:
    """Kernels that share rates: a family, apart by window and stride where code usually is."""
    if kernel.kind not in LARGEST_WINDOW:
        return family(kernel)
    window = min(max(kernel.window), LARGEST_WINDOW[kernel.kind])
    return (
        f"{family(kernel)} {window}/{min(*kernel.stride, 2)}"
        if kernel.kind == "depthwise"
        else f"{family(kernel)} {window}"
    )


def _tiled_madds(kernel: Kernel, tile: int) -> float:
    inputs, outputs = kernel.inputs[0][0] // kernel.groups, kernel.output[0] // kernel.groups
    tiles = _up(inputs, INPUT_TILE if inputs >= FEW_INPUTS else 1) * _up(outputs, tile)
    return float(tiles * kernel.groups * prod(kernel.window) * prod(kernel.output[1:]))


def _up(count: int, tile: int) -> int:
    return -(-count // tile) * tile


FUSED = ("add", "cheap", "hardswish", "silu", "sigmoid", "hardsigmoid")


def place(kernel: Kernel) -> Floats:
    """Coordinates of a kernel in its family: binary logarithms of sizes, and marks of what changes the code that runs."""
    inputs, outputs = kernel.inputs[0][0], kernel.output[0]
    fused = {"cheap" if operation in CHEAP else operation for operation in kernel.fused}
    sizes = (prod(kernel.output[1:]), inputs, outputs)
    return np.array(
        [
            *map(log2, sizes),
            1.5 * log2(kernel.window[0]),
            1.5 * log2(kernel.window[1]),
            2.0 * log2(kernel.stride[0]),
            0.5 * log2(max(1, inputs // kernel.groups)),
            log2(len(kernel.inputs)),
            *(float(channels % 4 != 0) for channels in (inputs, outputs)),
            *(float(channels % 8 != 0) for channels in (inputs, outputs)),
            *(0.5 * (channels % 16 != 0) for channels in (inputs, outputs)),
            *(float(operation in fused) for operation in FUSED),
        ]
    )


def network_work(kernels: Mapping[Kernel, int]) -> Mapping[str, float]:
    """Amounts of a network as a whole: the call, and weights that do not stay in a cache from one call to the next.

    Weights are read in the same order in every call, so a cache that does not hold all of them holds none when they are
    needed again. Where the caches end is left to the measurements.
    """
    streamed = sum(count * kernel.weights for kernel, count in kernels.items() if kernel.kind in STREAMED)
    reused = sum(count * kernel.weights for kernel, count in kernels.items()) - streamed
    amounts = {"network: call": 1.0}
    for size in FOOTPRINTS:
        beyond = 1 / (1 + (size / (streamed + reused + 1)) ** 3)
        amounts[f"network: streamed beyond {size:.0f}"] = streamed * beyond
        amounts[f"network: reused beyond {size:.0f}"] = reused * beyond
    return amounts
