"""The integer form of a graph before it is calibrated: for its file size and its time, which no range changes."""

from pocketcnn.compression.quantization.placement import own_values, spread
from pocketcnn.compression.quantization.quantize import weight_formats
from pocketcnn.graph import ActivationFormat, Graph, Numerics, for_inference


def with_placeholder_formats(graph: Graph) -> Graph:
    """`graph` quantized with made-up ranges, all different, as calibrated ones are.

    The result has the operations of the quantized network and, as no two constants are alike and can be shared, at least
    the bytes of its file; it has not its answers.
    """
    folded = for_inference(graph)
    own = {
        node.name: ActivationFormat(scale=2.0 ** (-6 - place / 1024), zero_point=place % 256)
        for place, node in enumerate(own_values(folded))
    }
    formats = spread(folded, own)
    weights, scales = weight_formats(folded, formats)
    numerics = Numerics(activations=formats, weights=weights)
    return folded.rebuilt(tensors={**folded.tensors, **scales}, numerics=numerics)
