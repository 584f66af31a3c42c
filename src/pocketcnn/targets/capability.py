"""The capabilities of a device as data: patterns of operations, and the fallback processor."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pocketcnn.targets import units

FASTEST = 1e18
"""Multiply-adds or bytes per second: a thousand times what the largest accelerators do. More is a slip of the unit."""

Rate = Annotated[float, Field(gt=0, le=FASTEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class TargetData(BaseModel):
    """A table of a target's TOML file; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OpPattern(TargetData):
    """A pattern of operations. Omitted fields match anything.

    Attributes:
        op: name of an operation of the graph, such as ``conv2d`` or ``hardswish``.
        kernel: kernel size of a convolution or pooling, on both sides.
        kernel_over: matches kernels larger than this on any side.
        stride: on any side.
        dilated: whether the kernel is dilated.
        depthwise: depthwise convolution.
        grouped: grouped, but not depthwise.
        broadcast: an element-wise operation that broadcasts an input, such as the gate of squeeze-and-excite.
        why: shown to users.
    """

    op: Annotated[str, Field(min_length=1)]
    kernel: Count | None = None
    kernel_over: Count | None = None
    stride: Count | None = None
    dilated: bool | None = None
    depthwise: bool | None = None
    grouped: bool | None = None
    broadcast: bool | None = None
    why: str = ""


class SlowOp(OpPattern):
    """Operations that take `factor` times as long as the rates of the target predict."""

    factor: Annotated[float, Field(ge=1, le=1e6, allow_inf_nan=False)]


class Fallback(TargetData):
    """The processor that runs unsupported operations, and the cost of transfers to it.

    Rates are in multiply-adds per second and bytes per second, in the precision of the target. `transfer_seconds` is added
    for each transferred value, whatever its size.
    """

    device: str
    peak_madds: Rate
    bandwidth: Rate
    transfer_bandwidth: Rate
    transfer_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0


class Calibration(TargetData):
    """Where the rates of a target were measured: machine, runtime version, and spread of each rate.

    `spread` has the 10th and 90th percentile of each rate, by ``float32``, ``int8`` and ``bandwidth``.
    """

    cpu: str
    flags: Annotated[tuple[str, ...], Field(strict=False)] = ()
    cores: Count
    system: str
    architecture: str
    runtime: str
    threads: Count
    spread: dict[str, Annotated[tuple[Rate, Rate], Field(strict=False)]]


def _bytes(value: object) -> object:
    """Parse ``"256kB"`` to 256000; numbers are bytes."""
    if not isinstance(value, str):
        return value
    number = value.rstrip("BbKkMmGgIi ")
    unit = units.find_unit(units.BYTES, value[len(number) :].strip())
    try:
        found = units.to_base(number.strip(), units.BYTES[unit or "B"])
    except ValueError:
        found = float("inf")
    if unit is None or not found < float("inf"):
        raise ValueError(f"{value!r} is not a size; write for example 256kB or 1MiB")
    return int(found)


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=1, le=10**15)]
