"""Post-training quantization: a float network and some images in, the same network in 8-bit integers out."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pocketcnn.compression.quantization.calibrate import METHODS, observe
from pocketcnn.compression.quantization.placement import own_values, spread
from pocketcnn.errors import UsageError
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Node, Numerics, WeightFormat, for_inference

SCALE_STEPS = 255
"""The scales of a layer's channels are whole multiples of the largest divided by this."""

WEIGHTED = frozenset({"conv2d", "linear"})


def quantize(
    network: GraphNetwork, images: Tensor, *, method: str = "mse", bits: int = 8, skip: frozenset[str] = frozenset()
) -> GraphNetwork:
    """Quantize `network` with activation ranges seen on `images`.

    Batch normalization is folded first. Weights are symmetric with one scale per output channel, activations affine
    with one scale a value, the input included; the last layer's answer stays in float. The result runs the
    integer arithmetic in simulation, trains on (quantization-aware), saves as integers and exports as QDQ ONNX.

    Args:
        network: a float network; it is not changed.
        images: (N, C, H, W), preprocessed like the training images; some hundred of them, not from the test split.
        method: how a range is chosen: ``minmax``, ``percentile`` or ``mse``.
        bits: 2 to 8, of weights and activations.
        skip: names of nodes that stay in float, weights and output.

    Raises:
        UsageError: the network is quantized already, there are no images, or the method is unknown.
    """
    if network.numerics:
        raise UsageError("The network is quantized already; quantize the float network that it was made from.")
    if method not in METHODS:
        raise UsageError(f"There is no calibration method {method!r}; choose one of {', '.join(METHODS)}.")
    graph = for_inference(network.graph)
    folded = GraphNetwork(graph, network.info)
    activations = _activation_formats(graph, folded, images, method, bits, skip)
    weights, scales = weight_formats(graph, activations, bits, skip)
    numerics = Numerics(activations=activations, weights=weights)
    return GraphNetwork(graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics), network.info)


def _activation_formats(
    graph: Graph, network: GraphNetwork, images: Tensor, method: str, bits: int, skip: frozenset[str]
) -> dict[str, ActivationFormat]:
    seen = observe(network, images, [node.name for node in own_values(graph) if node.name not in skip])
    return spread(graph, {name: METHODS[method](values, bits) for name, values in seen.items()})


def weight_formats(
    graph: Graph, activations: Mapping[str, ActivationFormat], bits: int = 8, skip: frozenset[str] = frozenset()
) -> tuple[dict[str, WeightFormat], dict[str, Tensor]]:
    """Formats of the weights whose inputs have a format, and the scale tensors that they name."""
    formats: dict[str, WeightFormat] = {}
    scales: dict[str, Tensor] = {}
    for node in graph.nodes:
        # A layer whose input is in float computes in float: integer weights would only lose precision.
        if node.op in WEIGHTED and node.name not in skip and node.inputs[0] in activations:
            name = node.tensors["weight"]
            form = WeightFormat(scale=f"{name}_scale", bits=bits)
            formats[name] = form
            scales[form.scale] = weight_scale(graph, node, activations[node.inputs[0]].scale, form)
    return formats, scales


def weight_scale(graph: Graph, node: Node, input_scale: float, form: WeightFormat) -> Tensor:
    """One scale per output channel: the largest weight becomes the largest integer.

    The int32 bias counts in steps of input scale x weight scale, so the weight scale must not be so small that the bias
    overflows; channels without any weight need only that. Scales are rounded up to whole multiples of 1/255 of the largest,
    which a file can store in one byte a channel.
    """
    weight = graph.tensors[node.tensors["weight"]].detach()
    scale = weight.abs().reshape(len(weight), -1).amax(dim=1).double() / form.high
    if "bias" in node.tensors:
        bias = graph.tensors[node.tensors["bias"]].detach().abs().double()
        scale = torch.maximum(scale, bias / (input_scale * 2**30))
    step = (scale.max().float() / SCALE_STEPS).clamp_min(torch.finfo(torch.float32).tiny)
    steps = torch.ceil(scale / step.double() * (1 - 1e-6)).clamp(1, SCALE_STEPS).float()
    return steps * step
