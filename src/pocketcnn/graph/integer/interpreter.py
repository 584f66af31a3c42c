"""Integer interpreter of a quantized graph: uint8 or int8 activations, int8 weights, int32 biases and accumulators."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph.fake_quantize import fake_quantize_weight, quantize_bias, quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.integer.accumulators import ACCUMULATORS, LAYERS, ONE, Layer, Sums
from pocketcnn.graph.integer.arithmetic import dequantized, quantized, steps
from pocketcnn.graph.integer.data_movement import DATA_MOVEMENT
from pocketcnn.graph.integer.lookup_tables import FUNCTIONS, REALS, table
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.activation import CLIPS, clip_bounds

INTEGER_OPS = frozenset({*LAYERS, *ACCUMULATORS, *FUNCTIONS, *REALS, *DATA_MOVEMENT, "concat"})
"""Operations with an integer implementation."""

LARGEST_SUM = 2**31 - 1

Observer = Callable[[Node, np.ndarray], None]


class IntegerNetwork:
    """Runs a quantized graph at inference, in numpy.

    A node with quantized inputs computes in integers: sums in int32 accumulators, functions by lookup table, data movement
    directly. The only float arithmetic is the float32 multiplier of requantization, see
    `pocketcnn.graph.integer.arithmetic`. A node with an input that is not quantized, or without an integer
    implementation, computes in float32 as `GraphNetwork` does: `float_nodes` lists these nodes.

    Raises:
        UsageError: the graph is not quantized.
        PocketcnnError: the accumulators of a layer may overflow int32.
    """

    def __init__(self, graph: Graph) -> None:
        if not graph.numerics:
            raise UsageError("The graph is in float32; quantize it first.")
        self._graph = graph
        self._formats = graph.numerics.activations
        self._layers = {node.name: self._layer(node) for node in graph.nodes if _is_integer_layer(graph, node)}

    @property
    def float_nodes(self) -> tuple[str, ...]:
        """The nodes that compute in float32, in order; not those that only dequantize their result, as the last layer does."""
        return float_nodes(self._graph)

    def run(self, images: np.ndarray, observe: Observer | None = None) -> np.ndarray:
        """The outputs, float32 (N, …), for images (N, C, H, W).

        `observe` is called with every node and its value: integers if the value is quantized, else float32.
        """
        integers: dict[str, np.ndarray] = {}
        reals: dict[str, np.ndarray] = {}
        sums: dict[str, Sums] = {}
        for node in self._graph.nodes:
            fmt = self._formats.get(node.name)
            result = images.astype(np.float32) if node.op == "input" else self._computed(node, integers, reals, sums)
            if fmt is not None:
                integers[node.name] = _stored(result, fmt)
            else:
                if isinstance(result, Sums):
                    sums[node.name] = result
                reals[node.name] = result.real() if isinstance(result, Sums) else result
            if observe is not None:
                observe(node, reals[node.name] if fmt is None else integers[node.name])
        return self._real(self._graph.output, integers, reals)

    def _computed(
        self,
        node: Node,
        integers: Mapping[str, np.ndarray],
        reals: Mapping[str, np.ndarray],
        sums: Mapping[str, Sums],
    ) -> Sums | np.ndarray:
        """The result of `node`: accumulators, integers of its format (data movement), or float32 values."""
        if node.op in CLIPS and node.name in self._formats and node.inputs[0] in sums:
            return sums[node.inputs[0]].clipped(*clip_bounds(node))
        fmt = self._formats.get(node.name)
        stored = bool(node.inputs) and all(name in integers for name in node.inputs)
        if not (stored and _is_integer(self._graph, node)) or (fmt is None and node.op in {*DATA_MOVEMENT, "concat"}):
            return self._in_float(node, [self._real(name, integers, reals) for name in node.inputs])
        given = [integers[name] for name in node.inputs]
        formats = [self._formats[name] for name in node.inputs]
        if node.op in LAYERS:
            scale = _product_of_scales(formats)
            return LAYERS[node.op](node, steps(given[0], formats[0]), scale, self._layers[node.name])
        if node.op in ACCUMULATORS:
            return ACCUMULATORS[node.op](node, list(map(steps, given, formats)), _product_of_scales(formats))
        if node.op in FUNCTIONS:
            return table(node, formats[0])[given[0].astype(np.int32) - formats[0].low]
        if node.op in REALS:
            return REALS[node.op](list(map(dequantized, given, formats)), self._arrays(node))
        assert fmt is not None
        rescaled = [_rescaled(value, each, fmt) for value, each in zip(given, formats, strict=True)]
        if node.op == "concat":
            return np.concatenate(rescaled, node.integer("axis") + 1)
        return DATA_MOVEMENT[node.op](node, rescaled[0], fmt, self._arrays(node))

    def _in_float(self, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            values = [torch.from_numpy(np.ascontiguousarray(value)) for value in inputs]
            return OPS[node.op].run(node, values, self._tensors(node), False).float().numpy()

    def _tensors(self, node: Node) -> dict[str, torch.Tensor]:
        """The tensors of `node` for float arithmetic; quantized weights are dequantized."""
        tensors = {role: tensor.detach().cpu() for role, tensor in self._graph.node_tensors(node).items()}
        if (weight := self._graph.numerics.weights.get(node.tensors.get("weight", ""))) is not None:
            scale = self._graph.tensors[weight.scale].detach().cpu()
            tensors["weight"] = fake_quantize_weight(tensors["weight"], scale, weight)
        return tensors

    def _arrays(self, node: Node) -> dict[str, np.ndarray]:
        return {role: tensor.numpy() for role, tensor in self._tensors(node).items()}

    def _real(self, name: str, integers: Mapping[str, np.ndarray], reals: Mapping[str, np.ndarray]) -> np.ndarray:
        return dequantized(integers[name], self._formats[name]) if name in integers else reals[name]

    def _layer(self, node: Node) -> Layer:
        fmt = self._graph.numerics.weights[node.tensors["weight"]]
        source = self._formats[node.inputs[0]]
        tensors = {role: tensor.detach().cpu() for role, tensor in self._graph.node_tensors(node).items()}
        scale = self._graph.tensors[fmt.scale].detach().cpu().float()
        weight = quantize_weight(tensors["weight"].float(), scale, fmt).numpy().astype(np.int8)
        bias = np.zeros(len(weight))
        if "bias" in tensors:
            bias = quantize_bias(tensors["bias"], source.scale, scale).numpy()
        reach = max(source.high - source.zero_point, source.zero_point - source.low)
        largest = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(1) * reach + np.abs(bias)
        if largest.max() > LARGEST_SUM:
            raise PocketcnnError(
                f"The accumulators of the layer {node.name!r} may reach {largest.max():.0f}, which overflows int32. "
                "Its bias is too large for the scales of its input and weight."
            )
        return Layer(weight, scale.numpy(), bias.astype(np.int32))


def float_nodes(graph: Graph) -> tuple[str, ...]:
    """The nodes of a quantized graph that compute in float32, see `IntegerNetwork.float_nodes`."""
    return tuple(node.name for node in graph.nodes if not _is_integer(graph, node))


def _is_integer(graph: Graph, node: Node) -> bool:
    """Whether `node` computes on integers or moves them."""
    formats = graph.numerics.activations
    if node.op in ("input", "constant") or _ends(graph, node):
        return node.name in formats
    if node.op not in INTEGER_OPS or any(name not in formats for name in node.inputs):
        return False
    return node.op not in LAYERS or _is_integer_layer(graph, node)


def _ends(graph: Graph, node: Node) -> bool:
    """Whether `node` is a clip between an accumulator and its requantization."""
    formats = graph.numerics.activations
    if node.op not in CLIPS or node.name not in formats or node.inputs[0] in formats:
        return False
    source = graph[node.inputs[0]]
    return source.op in {*LAYERS, *ACCUMULATORS, *REALS} and _is_integer(graph, source)


def _is_integer_layer(graph: Graph, node: Node) -> bool:
    numerics = graph.numerics
    return node.op in LAYERS and node.tensors["weight"] in numerics.weights and node.inputs[0] in numerics.activations


def _stored(result: Sums | np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    if isinstance(result, Sums):
        return result.stored(fmt)
    return result if result.dtype.kind in "iu" else quantized(result, fmt)


def _rescaled(integers: np.ndarray, source: ActivationFormat, result: ActivationFormat) -> np.ndarray:
    """Integers requantized from one format to another."""
    return integers if source == result else quantized(dequantized(integers, source), result)


def _product_of_scales(formats: list[ActivationFormat]) -> np.ndarray:
    product = ONE
    for fmt in formats:
        product = np.asarray(product * np.float32(fmt.scale))
    return product
