"""Placeholder quantization: the integer form of a graph without calibration, for its file size and latency."""

from pocketcnn.compression.quantization.placement import FUSABLE, own_values, shared_formats
from pocketcnn.compression.quantization.settings import QuantizeSettings
from pocketcnn.compression.quantization.weights import weight_formats
from pocketcnn.graph import ActivationFormat, Graph, Node, Numerics, for_inference
from pocketcnn.graph.passes.activate_parts import activate_parts


def with_placeholder_formats(graph: Graph) -> Graph:
    """`graph` quantized with made-up ranges, all different, as calibrated ranges are.

    The result has the operations of the quantized network, and a file at least as large: all constants differ, so none can be
    shared. Its outputs are meaningless.

    The output of a ReLU has zero point 0, as after calibration. Only then do runtimes fuse the ReLU into the rounding of the
    layer before it. With another zero point, ONNX Runtime computes the convolution in float, which took 2.7 times as long.
    """
    folded = activate_parts(for_inference(graph))
    own = {
        node.name: ActivationFormat(scale=2.0 ** (-6 - index / 1024), zero_point=_zero_point(node, index))
        for index, node in enumerate(own_values(folded))
    }
    formats = shared_formats(folded, own)
    weights, scales = weight_formats(folded, formats, QuantizeSettings(weight_range="max"))  # made at once
    numerics = Numerics(activations=formats, weights=weights)
    return folded.rebuilt(tensors={**folded.tensors, **scales}, numerics=numerics)


def _zero_point(node: Node, index: int) -> int:
    return 0 if node.op in FUSABLE else index % 256
