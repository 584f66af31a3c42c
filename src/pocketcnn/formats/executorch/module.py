"""A graph as a PyTorch module for ExecuTorch: float, or quantized with the operators of quantized_decomposed.

As in ONNX QDQ, every operator is a float operator with dequantized inputs and a quantized result; XNNPACK fuses such a group
to one integer operator. Scales and integers are those of the graph, without another calibration. XNNPACK's activations are
int8, so zero points are 128 lower than in uint8.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pocketcnn.formats.executorch.operations import EMITTERS
from pocketcnn.graph.fake_quantize import fake_quantize_bias, fake_quantize_weight, quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.activation import CLIPS
from pocketcnn.layers.shift import shift_kernel

LOW, HIGH = -128, 127
UNSIGNED_OFFSET = 128
SMALLEST_SCALE = torch.finfo(torch.float32).eps


class LoweredNetwork(nn.Module):
    """Runs a graph at inference with operators that XNNPACK supports; images are (1, C, H, W)."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        self._held: dict[str, dict[str, str]] = {}
        for place, node in enumerate(graph.nodes):
            for role, tensor in _tensors(graph, node).items():
                self._held.setdefault(node.name, {})[role] = f"{role}{place}"
                self.register_buffer(f"{role}{place}", tensor)

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W) -> (1, classes) for a classifier."""
        values: dict[str, Tensor] = {}
        for node in self._graph.nodes:
            fmt = self._graph.numerics.activations.get(node.name)
            value = x if node.op == "input" else self._computed(node, self._inputs(values, node, fmt))
            values[node.name] = value if fmt is None else _stored(value, fmt)
        return self._read(values, self._graph.output)

    def _inputs(self, values: Mapping[str, Tensor], node: Node, fmt: ActivationFormat | None) -> list[Tensor]:
        """The inputs of `node`; those of a concat are requantized to its format, as XNNPACK requires."""
        inputs = [self._read(values, name) for name in node.inputs]
        if node.op != "concat" or fmt is None:
            return inputs
        formats = [self._graph.numerics.activations.get(name) for name in node.inputs]
        return [
            value if own == fmt else _dequantized(_stored(value, fmt), fmt)
            for value, own in zip(inputs, formats, strict=True)
        ]

    def _read(self, values: Mapping[str, Tensor], name: str) -> Tensor:
        """A dequantized value. Each reader has its own dequantize operator, so that XNNPACK can fuse each group."""
        fmt = self._graph.numerics.activations.get(name)
        return values[name] if fmt is None else _dequantized(values[name], fmt)

    def _computed(self, node: Node, inputs: list[Tensor]) -> Tensor:
        tensors = {role: getattr(self, held) for role, held in self._held.get(node.name, {}).items()}
        if "integers" in tensors:
            if not _is_stored(self._graph, node):
                inputs = [_quantized_as_it_comes(inputs[0])]
            tensors["weight"] = torch.ops.quantized_decomposed.dequantize_per_channel(
                tensors.pop("integers"), tensors.pop("scales"), tensors.pop("zeros"), 0, LOW + 1, HIGH, torch.int8
            )
        if node.op in EMITTERS:
            return EMITTERS[node.op](node, inputs, tensors)
        return OPS[node.op].run(node, inputs, tensors, False)


def _tensors(graph: Graph, node: Node) -> Mapping[str, Tensor]:
    if node.op == "shift":
        return _shift_tensors(graph, node)
    tensors = {role: tensor.detach().clone() for role, tensor in graph.node_tensors(node).items()}
    fmt = graph.numerics.weights.get(node.tensors.get("weight", ""))
    if fmt is None:
        return tensors
    scale = graph.tensors[fmt.scale].detach()
    source = graph.numerics.activations.get(node.inputs[0])
    if source is None or not (_is_stored(graph, node) or node.op == "linear"):  # the layer computes in float
        return {**tensors, "weight": fake_quantize_weight(tensors["weight"], scale, fmt)}
    tensors["integers"] = quantize_weight(tensors.pop("weight"), scale, fmt).to(torch.int8)
    tensors["scales"], tensors["zeros"] = scale.clone(), torch.zeros(len(scale), dtype=torch.int64)
    if "bias" in tensors:
        tensors["bias"] = fake_quantize_bias(tensors["bias"], source.scale, scale)
    return tensors


def _shift_tensors(graph: Graph, node: Node) -> Mapping[str, Tensor]:
    """The depthwise kernels of a shift; int8 with scale 1 if input and output are quantized."""
    kernel = shift_kernel(node.ints("down"), node.ints("right"))
    if not (node.inputs[0] in graph.numerics.activations and _is_stored(graph, node)):
        return {"weight": kernel}
    ones, zeros = torch.ones(len(kernel)), torch.zeros(len(kernel), dtype=torch.int64)
    return {"integers": kernel.to(torch.int8), "scales": ones, "zeros": zeros}


def _is_stored(graph: Graph, node: Node) -> bool:
    """Whether the value of `node` is quantized, directly or after an activation that XNNPACK fuses."""
    formats, users = graph.numerics.activations, graph.users(node.name)
    fused = len(users) == 1 and users[0].op in CLIPS and users[0].name in formats
    return node.name != graph.output and (node.name in formats or fused)


def _quantized_as_it_comes(value: Tensor) -> Tensor:
    """`value` with dynamic quantization.

    XNNPACK supports integer layers with a float result, such as the logits, only for dynamically quantized inputs.
    """
    quantized = torch.ops.quantized_decomposed
    affine = (*quantized.choose_qparams(value, LOW, HIGH, SMALLEST_SCALE, torch.int8), LOW, HIGH, torch.int8)
    found: Tensor = quantized.dequantize_per_tensor(quantized.quantize_per_tensor(value, *affine), *affine)
    return found


def _stored(value: Tensor, fmt: ActivationFormat) -> Tensor:
    """`value` quantized to integers."""
    if fmt.bits < 8:  # they are stored as int8, so they must be clamped explicitly
        value = value.clamp((fmt.low - fmt.zero_point) * fmt.scale, (fmt.high - fmt.zero_point) * fmt.scale)
    stored: Tensor = torch.ops.quantized_decomposed.quantize_per_tensor(value, *_affine(fmt))
    return stored


def _dequantized(stored: Tensor, fmt: ActivationFormat) -> Tensor:
    found: Tensor = torch.ops.quantized_decomposed.dequantize_per_tensor(stored, *_affine(fmt))
    return found


def _affine(fmt: ActivationFormat) -> tuple[float, int, int, int, torch.dtype]:
    offset = 0 if fmt.signed else UNSIGNED_OFFSET
    return fmt.scale, fmt.zero_point - offset, LOW, HIGH, torch.int8
