"""Fake quantization: quantize and dequantize in float, with the straight-through estimator for gradients.

The rounding is that of ONNX QuantizeLinear: divide by the scale, round half to even, add the zero point, saturate.
Gradients pass through the rounding unchanged and are zero where the value saturates (Jacob et al., section 3).
"""

import torch
from torch import Tensor

from pocketcnn.graph.numerics import ActivationFormat, WeightFormat

_INT32_MAX = 2**31 - 1


class _RoundClamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, low: int, high: int) -> Tensor:
        rounded = torch.round(x)
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            ctx.save_for_backward((rounded >= low) & (rounded <= high))
        return rounded.clamp_(low, high)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * inside, None, None


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, value: Tensor, exact: Tensor) -> Tensor:
        return exact.clone()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(value: Tensor, exact: Tensor) -> Tensor:
    """`exact` in the forward pass, with the gradients of its approximation `value` in the backward pass."""
    result: Tensor = _StraightThrough.apply(value, exact)  # type: ignore[no-untyped-call]
    return result


def quantize_activation(x: Tensor, fmt: ActivationFormat) -> Tensor:
    """`x` quantized to the integers of `fmt`, as floats."""
    return _steps(x, fmt) + fmt.zero_point


def fake_quantize_activation(x: Tensor, fmt: ActivationFormat) -> Tensor:
    """`x` quantized to `fmt` and dequantized."""
    return _steps(x, fmt) * fmt.scale


def _steps(x: Tensor, fmt: ActivationFormat) -> Tensor:
    """The quantized value of `x` in steps from the zero point (q - zero point)."""
    low, high = fmt.low - fmt.zero_point, fmt.high - fmt.zero_point
    dtype = x.dtype if x.is_floating_point() else torch.float32
    scale = torch.full(
        (), fmt.scale, dtype=dtype, device=x.device
    )  # as a tensor: GPUs divide by a Python number by multiplying with its reciprocal
    rounded: Tensor = _RoundClamp.apply(x / scale, low, high)  # type: ignore[no-untyped-call]
    return rounded


def per_channel(scale: Tensor, like: Tensor) -> Tensor:
    """Scales of shape (N,) broadcast along axis 0 of `like`."""
    return scale.reshape(-1, *(1,) * (like.ndim - 1))


def quantize_weight(weight: Tensor, scale: Tensor, fmt: WeightFormat) -> Tensor:
    """`weight` quantized to integers, as floats; `scale` has one value per slice of axis 0."""
    rounded: Tensor = _RoundClamp.apply(weight / per_channel(scale, weight), -fmt.high, fmt.high)  # type: ignore[no-untyped-call]
    return rounded


def fake_quantize_weight(weight: Tensor, scale: Tensor, fmt: WeightFormat) -> Tensor:
    """`weight` quantized to `fmt` and dequantized."""
    return quantize_weight(weight, scale, fmt) * per_channel(scale, weight)


def quantize_bias(bias: Tensor, input_scale: float, weight_scale: Tensor) -> Tensor:
    """`bias` quantized to int32 with the scale input scale x weight scale, as float64.

    In double precision, because float32 cannot represent all int32 values.
    """
    rounded: Tensor = _RoundClamp.apply(  # type: ignore[no-untyped-call]
        bias.double() / _bias_step(input_scale, weight_scale), -_INT32_MAX, _INT32_MAX
    )
    return rounded


def fake_quantize_bias(bias: Tensor, input_scale: float, weight_scale: Tensor) -> Tensor:
    """`bias` quantized to int32 and dequantized."""
    step = _bias_step(input_scale, weight_scale)
    return (quantize_bias(bias, input_scale, weight_scale) * step).to(bias.dtype)


def _bias_step(input_scale: float, weight_scale: Tensor) -> Tensor:
    """The product of the two float32 scales, exact in double precision."""
    return weight_scale.double() * torch.tensor(input_scale, dtype=torch.float32).item()
