"""Quantization formats of a network, as data: affine quantization as in ONNX QDQ.

A real value r is represented by an integer q, ``r = scale * (q - zero_point)`` (Jacob et al., "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1). Activations are quantized per tensor
with a zero point; weights per output channel, symmetric (zero point 0). A bias is int32 with the scale
input scale x weight scale, so that it is added directly to the accumulator.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Bits = Annotated[int, Field(ge=2, le=8)]


class ActivationFormat(BaseModel):
    """Per-tensor affine quantization of an activation; `bits` from 2 to 8."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    zero_point: int
    bits: Bits = 8
    signed: bool = False

    @model_validator(mode="after")
    def _zero_point_in_range(self) -> Self:
        if not self.low <= self.zero_point <= self.high:
            raise ValueError(f"the zero point {self.zero_point} is outside {self.low} … {self.high}")
        return self

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


class WeightFormat(BaseModel):
    """Per-channel symmetric quantization of a weight; `scale` names the tensor with one scale per slice of axis 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: str
    bits: Bits = 8
    symmetric: Literal[True] = True

    @property
    def high(self) -> int:
        """The largest magnitude: 127 for 8 bits, so that the range is symmetric and no product overflows."""
        return (1 << (self.bits - 1)) - 1


class Numerics(BaseModel):
    """Formats of a network: `activations` by node name, `weights` by tensor name. All other values are float32."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activations: Mapping[str, ActivationFormat] = Field(default_factory=dict)
    weights: Mapping[str, WeightFormat] = Field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.activations or self.weights)
