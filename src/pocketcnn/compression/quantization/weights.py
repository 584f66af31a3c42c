"""Weight formats: bits, and the scale of each output channel."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pocketcnn.compression.quantization.settings import QuantizeSettings
from pocketcnn.graph import ActivationFormat, Graph, Node, WeightFormat

SCALE_STEPS = 255
"""The scales of a layer are whole multiples of the largest divided by this."""

WEIGHTED = frozenset({"conv2d", "linear"})

CANDIDATES = 40
"""How many ranges, as shares of the largest weight, are tried for the least mean square error."""


def weight_formats(
    graph: Graph, activations: Mapping[str, ActivationFormat], settings: QuantizeSettings | None = None
) -> tuple[dict[str, WeightFormat], dict[str, Tensor]]:
    """The formats of weights whose input is quantized, and the scale tensors that they refer to."""
    settings = settings or QuantizeSettings()
    formats: dict[str, WeightFormat] = {}
    scales: dict[str, Tensor] = {}
    for node in quantized_layers(graph, activations, settings):
        name = node.tensors["weight"]
        fmt = WeightFormat(scale=f"{name}_scale", bits=settings.bits_of(node.name))
        formats[name] = fmt
        scales[fmt.scale] = weight_scale(graph, node, activations[node.inputs[0]].scale, fmt, settings)
    return formats, scales


def quantized_layers(
    graph: Graph, activations: Mapping[str, ActivationFormat], settings: QuantizeSettings
) -> list[Node]:
    """The layers that get integer weights. A layer with a float input would compute in float and only lose accuracy."""
    return [
        node
        for node in graph.nodes
        if node.op in WEIGHTED and node.name not in settings.skip and node.inputs[0] in activations
    ]


def weight_scale(graph: Graph, node: Node, input_scale: float, fmt: WeightFormat, settings: QuantizeSettings) -> Tensor:
    """The scale of each output channel, (N,): by its largest weight or by the least error; one value if not per channel.

    The int32 bias is in units of input scale x weight scale. So the weight scale must be large enough that the bias does not
    overflow. Channels with zero weights need only that.
    """
    weight = graph.tensors[node.tensors["weight"]].detach()
    rows = weight.reshape(len(weight), -1).double()
    if not settings.per_channel:
        rows = rows.reshape(1, -1)
    largest = rows.abs().amax(dim=1) / fmt.high
    scale = largest if settings.weight_range == "max" else _least_error(rows, largest, fmt)
    scale = scale.expand(len(weight))
    if "bias" in node.tensors:
        bias = graph.tensors[node.tensors["bias"]].detach().abs().double()
        scale = torch.maximum(scale, bias / (input_scale * 2**30))
    if not settings.per_channel:
        scale = scale.max().expand(len(weight))
    return on_grid(scale)


def _least_error(rows: Tensor, largest: Tensor, fmt: WeightFormat) -> Tensor:
    """For each of `rows` (N, K), the scale with the least mean square error; `largest` (N,) are the scales of the full range."""
    best, least = largest, torch.full_like(largest, torch.inf)
    for step in range(CANDIDATES):
        scale = largest * (1 - 0.75 * step / CANDIDATES)
        steps = scale.clamp_min(torch.finfo(torch.float64).tiny)[:, None]
        stored = torch.round(rows / steps).clamp_(-fmt.high, fmt.high) * steps
        error = (stored - rows).square().sum(dim=1)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return best


def on_grid(scale: Tensor) -> Tensor:
    """`scale` (N,) rounded up to multiples of 1/255 of the largest, which a file stores in one byte per channel."""
    step = (scale.max().float() / SCALE_STEPS).clamp_min(torch.finfo(torch.float32).tiny)
    steps = torch.ceil(scale / step.double() * (1 - 1e-6)).clamp(1, SCALE_STEPS).float()
    return steps * step
