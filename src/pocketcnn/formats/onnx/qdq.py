"""Quantized values in an ONNX graph in QDQ form.

Every operator is a float operator with dequantized inputs (DequantizeLinear) and a quantized result (QuantizeLinear);
runtimes fuse such a group into one integer operator. Rounding and saturation are those of `fake_quantize`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import numpy_helper
from torch import Tensor

from pocketcnn.formats.onnx.builder import OnnxBuilder
from pocketcnn.graph.fake_quantize import quantize_bias, quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, WeightFormat
from pocketcnn.graph.ops.activation import CLIPS, clip_bounds

Constant = Callable[[np.ndarray, str], str]
"""Adds a constant with a name derived from the hint, and returns the name of its value."""

MIDDLE = 128
"""The zero point of weights that are stored as uint8."""

_WIDE = 128
"""Number of channels from which an operator is smaller than its zero points."""

_NEARLY_INT32 = 0.99 * 2**31
"""A bias below this number of steps is exact when it is written in float32 and quantized to int32 again."""


class Qdq:
    """Adds quantized values to `builder`; `constant` adds the constants that may use a compact encoding."""

    def __init__(self, builder: OnnxBuilder, constant: Constant) -> None:
        self._builder = builder
        self._constant = constant

    def quantized(self, value: str, fmt: ActivationFormat, hint: str) -> str:
        """Quantize a float value."""
        stored = self._builder.op("QuantizeLinear", [value, *self._parameters(fmt)], {}, f"{hint}/quantized")
        if fmt.bits == 8:
            return stored
        integer = _integer(fmt)  # opset 17 has no narrower integers: they are stored in 8 bits and clipped
        bounds = [self._builder.constant(np.asarray(bound, integer), "bound") for bound in (fmt.low, fmt.high)]
        return self._builder.op("Clip", [stored, *bounds], {}, f"{hint}/saturated")

    def dequantized(self, stored: str, fmt: ActivationFormat, hint: str) -> str:
        """Dequantize integers."""
        return self._builder.op("DequantizeLinear", [stored, *self._parameters(fmt)], {}, hint)

    def number(self, value: float, fmt: ActivationFormat) -> str:
        """A scalar constant, quantized."""
        stored = np.clip(np.rint(np.float32(value) / np.float32(fmt.scale)) + fmt.zero_point, fmt.low, fmt.high)
        return self._builder.constant(np.asarray(stored, _integer(fmt)), "number")

    def weight(
        self,
        weight: Tensor,
        scale: Tensor,
        fmt: WeightFormat,
        name: str,
        *,
        zero_points: bool,
        unsigned: bool = False,
    ) -> str:
        """A weight, stored as int8 and dequantized; as uint8 with the zero point 128 if `unsigned`."""
        integers = quantize_weight(weight.detach(), scale.detach(), fmt).cpu().numpy()
        if unsigned:
            stored = self._builder.constant((integers + MIDDLE).astype(np.uint8), f"{name}/quantized")
            return self._per_channel(stored, scale, np.uint8(MIDDLE), name)
        stored = self._builder.constant(integers.astype(np.int8), f"{name}/quantized")
        return self._per_channel(stored, scale, np.int8(0) if zero_points else None, name)

    def integer_weight(self, value: np.ndarray, name: str) -> str:
        """A weight of integers from -127 to 127, stored as int8 with scale 1 and dequantized."""
        stored = self._builder.constant(value.astype(np.int8), f"{name}/quantized")
        return self._builder.op(
            "DequantizeLinear", [stored, self._builder.constant(np.asarray(1, np.float32), "one")], {}, name
        )

    def bias(
        self, bias: Tensor, input_scale: float, weight_scale: Tensor, name: str, *, as_integers: bool = False
    ) -> str:
        """A bias that is a multiple of its scale (input scale x weight scale), written in float32.

        That takes half the size of an int32 bias with a scale per channel. ONNX Runtime divides by the scale when it fuses
        the group. The integers are then exact up to 2^22; beyond, the relative error is 2^-22. A bias that saturates int32
        must be stored as int32, and so must the bias of a linear layer with a float result, which is fused to an integer
        operator only in that form.
        """
        weight_scale = weight_scale.detach().double()
        steps = weight_scale * np.float32(input_scale).item()
        integers = quantize_bias(bias.detach(), input_scale, weight_scale).cpu().numpy()
        if np.abs(integers).max() < _NEARLY_INT32 and not as_integers:
            return self._builder.constant((integers * steps.cpu().numpy()).astype(np.float32), name)
        stored = self._builder.constant(integers.astype(np.int32), f"{name}/quantized")
        return self._per_channel(stored, steps, None, name)

    def _per_channel(self, stored: str, scale: Tensor, zero_point: np.int8 | np.uint8 | None, name: str) -> str:
        """Dequantize a tensor with one scale per slice of axis 0; equal scales are written once.

        Without zero points they are 0, ONNX's default. But ONNX Runtime 1.32 fuses to an integer Gemm only if they are explicit,
        and its setting for exact int8 on older CPUs then requires a separate zero-point tensor per int8 weight.
        """
        steps = scale.detach().float().cpu().numpy()
        equal = bool(np.all(steps == steps[0]))
        steps = np.asarray(steps[0]) if equal else steps
        inputs = [stored, self._constant(steps, f"{name}/scale")]
        if zero_point is not None:
            inputs.append(self._zero_points(steps.shape, zero_point, f"{name}/zero_point"))
        return self._builder.op("DequantizeLinear", inputs, {} if equal else {"axis": 0}, name)

    def _zero_points(self, shape: tuple[int, ...], value: np.int8 | np.uint8, hint: str) -> str:
        """Equal zero points; those of uint8 are shared by layers of a width, and made by an operator where that is smaller."""
        is_shared = value.dtype == np.uint8
        if is_shared and shape and shape[0] >= _WIDE:
            tensor = numpy_helper.from_array(np.full(1, value))
            return self._builder.op(
                "ConstantOfShape",
                [self._builder.constant(np.asarray(shape, np.int64), "shape")],
                {"value": tensor},
                hint,
            )
        return self._builder.constant(np.full(shape, value), hint, shared=is_shared)

    def _parameters(self, fmt: ActivationFormat) -> list[str]:
        """The names of scale and zero point."""
        return [
            self._builder.constant(np.asarray(fmt.scale, np.float32), "scale"),
            self._builder.constant(np.asarray(fmt.zero_point, _integer(fmt)), "zero_point"),
        ]


def implied_by_saturation(node: Node, fmt: ActivationFormat) -> bool:
    """Whether saturation in `fmt` already clips as `node` (ReLU, ReLU6, clip) does, so that `node` can be omitted."""
    if node.op not in CLIPS:
        return False
    low, high = (np.rint(np.float32(bound) / np.float32(fmt.scale)) + fmt.zero_point for bound in clip_bounds(node))
    return bool(low <= fmt.low and high >= fmt.high)


def is_absorbed(graph: Graph, node: Node) -> bool:
    """Whether the value of `node` is never stored, because its only reader is a clip that saturation implies."""
    formats, users = graph.numerics.activations, graph.users(node.name)
    if len(users) != 1 or node.name in formats or node.name == graph.output:
        return False
    fmt = formats.get(users[0].name)
    return fmt is not None and implied_by_saturation(users[0], fmt)


def with_separate_means(graph: Graph) -> Graph:
    """Split every mean over H and W without keepdim into a mean with keepdim and a reshape.

    The mean is then quantized before the reshape, which is the pattern that runtimes fuse.
    """
    nodes: list[Node] = []
    formats = dict(graph.numerics.activations)
    for node in graph.nodes:
        if node.op == "mean" and node.ints("axes") == (1, 2) and not node.flag("keepdim") and node.name in formats:
            mean = replace(node, name=next(name for name in numbered(f"{node.name}/mean") if name not in graph))
            nodes.append(replace(mean, attrs={**node.attrs, "keepdim": True}))
            formats[mean.name] = formats[node.name]
            node = replace(node, op="reshape", inputs=(mean.name,), attrs={"shape": node.shape})
        nodes.append(node)
    return graph.rebuilt(nodes, numerics=graph.numerics.model_copy(update={"activations": formats}))


def _integer(fmt: ActivationFormat) -> type:
    return np.int8 if fmt.signed else np.uint8
