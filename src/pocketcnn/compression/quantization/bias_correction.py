"""Bias correction: the shift that quantization adds to the mean of each output channel is subtracted from the bias.

Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV
2019), section 4.2. The rounding errors of few weights (9 in a depthwise filter) do not average out, and shift the output.
Here the shift is measured on images, layer by layer, after all earlier layers are corrected.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from pocketcnn.compression.quantization.layers_in_turn import layers_of, modify_in_order, single_batch
from pocketcnn.graph import OPS, Graph, GraphNetwork, Node
from pocketcnn.graph.fake_quantize import fake_quantize_weight


def correct_biases(graph: Graph, quantized: Graph, images: Tensor) -> Graph:
    """`quantized` with corrected biases.

    Layers without a bias, or that share tensors with others, are not changed.

    Args:
        graph: the float graph that `quantized` was made from.
        quantized: the quantized graph.
        images: (N, C, H, W), without labels.
    """
    images = single_batch(graph, images)
    wanted = _channel_means(graph, {layer.name for layer in layers_of(quantized)}, images)
    return modify_in_order(quantized, images, partial(_corrected, quantized, wanted))


def _corrected(
    quantized: Graph, wanted: Mapping[str, Tensor], layer: Node, value: Tensor, tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    if "bias" not in tensors:
        return {}
    fmt = quantized.numerics.weights[layer.tensors["weight"]]
    stored = fake_quantize_weight(tensors["weight"], quantized.tensors[fmt.scale], fmt)
    made = OPS[layer.op].run(layer, [value], {**tensors, "weight": stored}, False)
    return {"bias": tensors["bias"] + (wanted[layer.name] - _means(made)).to(tensors["bias"].dtype)}


def _channel_means(graph: Graph, names: set[str], images: Tensor) -> dict[str, Tensor]:
    """The mean of each channel, (C,), of the values `names` in the float network."""
    means: dict[str, Tensor] = {}

    def watch(node: Node, value: Tensor) -> None:
        if node.name in names:
            means[node.name] = _means(value)

    with torch.no_grad():
        GraphNetwork(graph).eval().run(images, watch)
    return means


def _means(value: Tensor) -> Tensor:
    return value.double().mean(dim=[axis for axis in range(value.ndim) if axis != 1])
