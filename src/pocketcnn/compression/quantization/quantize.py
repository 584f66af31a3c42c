"""Post-training quantization: a float network and calibration images in, an integer network out."""

from collections.abc import Collection
from typing import Any

from torch import Tensor

from pocketcnn.compression.quantization.adaround import round_adaptively
from pocketcnn.compression.quantization.bias_correction import correct_biases
from pocketcnn.compression.quantization.calibrate import METHODS, input_format, observe
from pocketcnn.compression.quantization.equalize import equalize
from pocketcnn.compression.quantization.mixed_precision import layer_bits
from pocketcnn.compression.quantization.placement import own_values, shared_formats
from pocketcnn.compression.quantization.settings import QuantizeSettings
from pocketcnn.compression.quantization.weights import weight_formats
from pocketcnn.errors import UsageError
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, InputContract, Numerics, for_inference
from pocketcnn.graph.images import check_images, dtype_of
from pocketcnn.graph.passes.activate_parts import activate_parts


def quantize(
    network: GraphNetwork,
    images: Tensor,
    *,
    method: str | None = None,
    bits: int | None = None,
    skip: Collection[str] | None = None,
    settings: QuantizeSettings | None = None,
) -> GraphNetwork:
    """Quantize `network`, with activation ranges calibrated on `images`.

    Batch normalization is folded first, and the activation after a concatenation is moved to its inputs. Weights are
    symmetric with one scale per output channel. Activations, including the input, are affine with one scale each. The logits
    stay in float. The result simulates the integer arithmetic, can be trained further (quantization-aware), saves as
    integers, and exports as QDQ ONNX.

    Args:
        network: a captured float network; it is not changed.
        images: (N, C, H, W), preprocessed like the training images; some hundred, not from the test split.
        method: how a range is chosen: ``minmax``, ``percentile``, ``mse`` or ``entropy``.
        bits: 2 to 8, of weights and activations.
        skip: names of nodes whose weights and output stay in float.
        settings: all of these and more; the other arguments override it.

    Raises:
        UsageError: the network is already quantized, the images are none or of another kind, the method is unknown, `skip` or
            `settings.layer_bits` names an unknown node, or the weights cannot be reduced to `settings.weight_bytes`.
    """
    if network.numerics:
        raise UsageError("The network is already quantized. Quantize the original float network instead.")
    settings = _settings(settings or QuantizeSettings(), method, bits, skip)
    check_images(images, network.graph.input_shape, dtype_of(network))
    graph = activate_parts(for_inference(network.graph))
    _check_names(graph, settings)
    if settings.equalize != "none":
        graph = equalize(graph, images, settings)
    activations = _activation_formats(graph, images, network.info.input, settings)
    quantized = _with_formats(graph, activations, settings)
    if settings.weight_bytes is not None:
        settings = settings.with_(layer_bits=layer_bits(quantized, images, settings))
        quantized = _with_formats(graph, activations, settings)
    if settings.rounding == "adaptive":
        quantized = round_adaptively(graph, quantized, images, settings.adaround, settings.seed)
    if settings.bias_correction:
        quantized = correct_biases(graph, quantized, images)
    return GraphNetwork(quantized, network.info)


def _settings(
    settings: QuantizeSettings, method: str | None, bits: int | None, skip: Collection[str] | None
) -> QuantizeSettings:
    changes: dict[str, Any] = {}
    if method is not None:
        if method not in METHODS:
            raise UsageError(f"There is no calibration method {method!r}; choose {', '.join(METHODS)}.")
        changes["method"] = method
    if bits is not None:
        changes |= {"activation_bits": bits, "weight_bits": bits}
    if skip is not None:
        changes["skip"] = frozenset(skip)
    return settings.with_(**changes) if changes else settings


def _check_names(graph: Graph, settings: QuantizeSettings) -> None:
    unknown = sorted(name for name in {*settings.skip, *settings.layer_bits} if name not in graph)
    if unknown:
        raise UsageError(
            f"The network has no operation {unknown[0]!r} after folding for inference. `pocketcnn inspect` lists the names."
        )


def _activation_formats(
    graph: Graph, images: Tensor, contract: InputContract | None, settings: QuantizeSettings
) -> dict[str, ActivationFormat]:
    names = [node.name for node in own_values(graph) if node.name not in settings.skip]
    bits, symmetric = settings.activation_bits, settings.symmetric_activations
    choose = METHODS[settings.method]
    formats: dict[str, ActivationFormat] = {}
    for name, seen in observe(GraphNetwork(graph), images, names).items():
        if graph[name].op == "input":
            formats[name] = input_format(contract, seen, bits, symmetric=symmetric)
        else:
            formats[name] = choose(seen, bits, symmetric=symmetric)
    return shared_formats(graph, formats)


def _with_formats(graph: Graph, activations: dict[str, ActivationFormat], settings: QuantizeSettings) -> Graph:
    weights, scales = weight_formats(graph, activations, settings)
    numerics = Numerics(activations=activations, weights=weights)
    return graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics)
