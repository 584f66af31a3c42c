"""Mixed precision: which layers get fewer bits so that the weights fit a number of bytes with the least error.

The sensitivity of a layer is the measured change of the logits when that layer alone gets fewer bits. The sensitivities of
several layers are added (as in Dong et al., "HAWQ-V2", NeurIPS 2020, section 3.2, which uses second derivatives instead).
Choosing layers is then a knapsack problem, solved exactly up to the rounding of sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from pocketcnn.compression.quantization.settings import QuantizeSettings
from pocketcnn.compression.quantization.weights import weight_scale
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, Node, Numerics, WeightFormat, predictions

MAX_IMAGES = 128
"""Images on which the sensitivity of a layer is measured."""

KNAPSACK_UNITS = 2000
"""Into how many units the bytes to save are divided."""


@dataclass(frozen=True)
class Sensitivity:
    """The effect of fewer bits for the weights of one layer.

    Attributes:
        layer: node name.
        logit_error: mean square change of the logits, relative to their variance over the images.
        saved: bytes.
    """

    layer: str
    logit_error: float
    saved: int


def weight_bytes(graph: Graph) -> int:
    """Bytes of the packed integer weights of a quantized graph, without scales, biases and other data."""
    return sum(_bytes(graph.tensors[name], fmt.bits) for name, fmt in graph.numerics.weights.items())


def _bytes(weight: Tensor, bits: int) -> int:
    return ceil(weight.numel() * bits / 8)


def layer_bits(quantized: Graph, images: Tensor, settings: QuantizeSettings) -> dict[str, int]:
    """The bits of single layers with which the weights of `quantized` fit `settings.weight_bytes`.

    Raises:
        UsageError: they do not fit even with `settings.low_bits` in every layer.
    """
    chosen = dict(settings.layer_bits)
    if settings.weight_bytes is None or weight_bytes(quantized) <= settings.weight_bytes:
        return chosen
    found = sensitivities(quantized, images, settings)
    saving = weight_bytes(quantized) - settings.weight_bytes
    return {**chosen, **dict.fromkeys(choose_layers(found, saving), settings.low_bits)}


def sensitivities(quantized: Graph, images: Tensor, settings: QuantizeSettings) -> list[Sensitivity]:
    """The effect of `settings.low_bits` in each layer of `quantized`, measured on images (N, C, H, W)."""
    images = images[:MAX_IMAGES]
    exact = predictions(GraphNetwork(quantized), images, 64)
    variance = float(exact.var().clamp_min(torch.finfo(exact.dtype).tiny))
    found = []
    for layer in _candidates(quantized, settings):
        answers = predictions(GraphNetwork(_with_low_bits(quantized, layer, settings)), images, 64)
        name = layer.tensors["weight"]
        saved = [
            _bytes(quantized.tensors[name], bits) for bits in (quantized.numerics.weights[name].bits, settings.low_bits)
        ]
        logit_error = float((answers - exact).square().mean()) / variance
        found.append(Sensitivity(layer.name, logit_error, saved[0] - saved[1]))
    return found


def _candidates(quantized: Graph, settings: QuantizeSettings) -> list[Node]:
    """The layers whose bits may be reduced; of layers with the same weights only the first."""
    weights = quantized.numerics.weights
    first = {
        node.tensors["weight"]: node for node in reversed(quantized.nodes) if node.tensors.get("weight") in weights
    }
    fixed = settings.layer_bits
    return [node for name, node in first.items() if node.name not in fixed and weights[name].bits > settings.low_bits][
        ::-1
    ]


def _with_low_bits(quantized: Graph, layer: Node, settings: QuantizeSettings) -> Graph:
    numerics = quantized.numerics
    name = layer.tensors["weight"]
    fmt = WeightFormat(scale=numerics.weights[name].scale, bits=settings.low_bits)
    scale = weight_scale(quantized, layer, numerics.activations[layer.inputs[0]].scale, fmt, settings)
    return quantized.rebuilt(
        tensors={**quantized.tensors, fmt.scale: scale},
        numerics=Numerics(activations=numerics.activations, weights={**numerics.weights, name: fmt}),
    )


def choose_layers(found: Sequence[Sensitivity], saving: int) -> frozenset[str]:
    """The layers that together save at least `saving` bytes with the least sum of logit errors.

    Raises:
        UsageError: all of them together save less.
    """
    total = sum(each.saved for each in found)
    if saving > total:
        raise UsageError(
            f"Using low_bits in every layer saves {total} bytes of weights, but {saving} bytes are required. Raise weight_bytes, "
            "lower low_bits, or prune the network first."
        )
    unit = max(1, saving // KNAPSACK_UNITS)
    required = ceil(max(0, saving) / unit)
    best: dict[int, tuple[float, frozenset[str]]] = {
        0: (0.0, frozenset())
    }  # by units saved, capped at the required number
    for each in found:
        for done, (logit_error, layers) in list(best.items()):
            reached, more = min(required, done + each.saved // unit), logit_error + each.logit_error
            if reached > done and (reached not in best or more < best[reached][0]):
                best[reached] = (more, layers | {each.layer})
    return best[required][1] if required in best else frozenset(each.layer for each in found)
