"""Quantize and dequantize in float: what a value becomes when it is stored in few bits, and how gradients pass.

The rounding is that of ONNX QuantizeLinear: divide by the scale, round half to even, add the zero point, saturate.
Gradients pass straight through the rounding and stop where the value saturates (Jacob et al., section 3).
"""

import torch
from torch import Tensor

from pocketcnn.graph.numerics import ActivationFormat, WeightFormat


class _RoundClamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, low: int, high: int) -> Tensor:
        rounded = torch.round(x)
        ctx.save_for_backward((rounded >= low) & (rounded <= high))
        return rounded.clamp_(low, high)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * inside, None, None


def quantize_activation(x: Tensor, form: ActivationFormat) -> Tensor:
    """The integers, as floats, that stand for `x`."""
    return _steps(x, form) + form.zero_point


def fake_quantize_activation(x: Tensor, form: ActivationFormat) -> Tensor:
    """`x` as it is after being stored in `form`."""
    return _steps(x, form) * form.scale


def _steps(x: Tensor, form: ActivationFormat) -> Tensor:
    """How many steps of the scale from zero `x` is stored as."""
    low, high = form.low - form.zero_point, form.high - form.zero_point
    rounded: Tensor = _RoundClamp.apply(x / form.scale, low, high)  # type: ignore[no-untyped-call]
    return rounded


def per_channel(scale: Tensor, like: Tensor) -> Tensor:
    """Scales of shape (N,) broadcast along axis 0 of `like`."""
    return scale.reshape(-1, *(1,) * (like.ndim - 1))


def quantize_weight(weight: Tensor, scale: Tensor, form: WeightFormat) -> Tensor:
    """The integers, as floats, that stand for `weight`; `scale` has one value per slice of axis 0."""
    rounded: Tensor = _RoundClamp.apply(weight / per_channel(scale, weight), -form.high, form.high)  # type: ignore[no-untyped-call]
    return rounded


def fake_quantize_weight(weight: Tensor, scale: Tensor, form: WeightFormat) -> Tensor:
    """`weight` as it is after being stored in `form`."""
    return quantize_weight(weight, scale, form) * per_channel(scale, weight)


def fake_quantize_bias(bias: Tensor, input_scale: float, weight_scale: Tensor) -> Tensor:
    """`bias` as the int32 accumulator sees it: a multiple of input scale x weight scale, channel by channel.

    The division is done in double precision: an int32 has more digits than a float32.
    """
    step = weight_scale.double() * input_scale
    rounded: Tensor = _RoundClamp.apply(bias.double() / step, -(2**31) + 1, 2**31 - 1)  # type: ignore[no-untyped-call]
    return (rounded * step).to(bias.dtype)
