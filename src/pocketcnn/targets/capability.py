"""What a device can and cannot run, as data: patterns over operations, and who runs the rest."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pocketcnn.targets import units

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TargetData(BaseModel):
    """A table of a target's TOML file: what it does not know is a mistake, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OpPattern(TargetData):
    """Which operations are meant. What is left out matches anything.

    Attributes:
        op: name of an operation of the graph, such as ``conv2d`` or ``hardswish``.
        kernel: of a convolution or pooling, both sides; kernel_over: larger than that on any side.
        stride: on any side. dilated: whether the kernel is spread out.
        depthwise: each channel by itself. grouped: in groups, but not depthwise.
        broadcast: whether an element-wise operation repeats an input, as the gate of squeeze-and-excite is.
        why: said to people.
    """

    op: Annotated[str, Field(min_length=1)]
    kernel: Annotated[int, Field(ge=1)] | None = None
    kernel_over: Annotated[int, Field(ge=1)] | None = None
    stride: Annotated[int, Field(ge=1)] | None = None
    dilated: bool | None = None
    depthwise: bool | None = None
    grouped: bool | None = None
    broadcast: bool | None = None
    why: str = ""


class SlowOp(OpPattern):
    """Operations that take `factor` times as long as the rates of the target say."""

    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Fallback(TargetData):
    """The processor that runs what the device lacks, and what handing a value over costs.

    Rates are in multiply-adds and bytes a second, in the numerics of the target; `transfer_seconds` is paid for each value
    that crosses, whatever its size.
    """

    device: str
    peak_madds: Rate
    bandwidth: Rate
    transfer_bandwidth: Rate
    transfer_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Calibration(TargetData):
    """Where the rates of a target were measured: the machine, the runtime's version, and each rate's spread.

    `spread` is by ``float32``, ``int8`` and ``bandwidth``: the 10th and the 90th percentile of the rate.
    """

    cpu: str
    flags: Annotated[tuple[str, ...], Field(strict=False)] = ()
    cores: int
    system: str
    architecture: str
    runtime: str
    threads: int
    spread: dict[str, Annotated[tuple[float, float], Field(strict=False)]]


def _bytes(value: object) -> object:
    """``"256kB"`` as 256000; numbers are bytes."""
    if not isinstance(value, str):
        return value
    number = value.rstrip("BbKkMmGgIi ")
    unit = units.find_unit(units.BYTES, value[len(number) :].strip())
    try:
        found = units.to_base(number.strip(), units.BYTES[unit or "B"])
    except ValueError:
        found = float("inf")
    if unit is None or not found < float("inf"):
        raise ValueError(f"{value!r} is no size; write it like 256kB or 1MiB")
    return int(found)


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]
