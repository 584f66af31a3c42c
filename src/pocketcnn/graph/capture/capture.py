"""Capture of any `nn.Module` as a `Graph`, by a fast dispatch trace or by `torch.export`, with the same result.

The module is traced in eval mode with a batch of images; the batch axis is then removed from every shape. Each
``call_function`` of the exported program becomes nodes by the table in `aten_rules`. Parameters, buffers and constants
keep their names. A node is named after the path of the module that it comes from.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from pocketcnn.graph.capture.aten_rules import RULES
from pocketcnn.graph.capture.builder import Builder
from pocketcnn.graph.capture.exporting import BATCH, evaluated, export
from pocketcnn.graph.capture.exporting import CaptureError as CaptureError
from pocketcnn.graph.capture.tracing import trace
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Shape
from pocketcnn.graph.ops import GraphError
from pocketcnn.graph.stored_tensors import check_finite


def capture(module: nn.Module, example_input: Tensor | Sequence[int]) -> Graph:
    """Capture `module` as a graph: the function at inference, with dropout and batch normalization for training.

    Stochastic depth (drop path) is not captured, since it has no operation at inference: the graph trains with all paths.

    Args:
        module: any network with one image tensor as input and one tensor as output. It is not modified.
        example_input: images (N, C, H, W), or only their shape. It fixes the spatial size; the batch axis stays free.

    Raises:
        CaptureError: an operation that the graph does not have, that depends on the values of the images, or that mixes
            the images of a batch; or weights that are not finite.
    """
    shape = tuple(example_input.shape if isinstance(example_input, Tensor) else example_input)
    if len(shape) < 2 or min(shape) < 1:
        raise CaptureError(f"The example input has shape {shape}; it must be (N, C, H, W).")
    with evaluated(module):
        graph = _traced(module, shape[1:]) or Builder(module, export(module, shape[1:]), RULES).graph()
    try:
        check_finite(graph)
    except GraphError as error:
        raise CaptureError(str(error)) from error
    return graph


def _traced(module: nn.Module, image: Shape) -> Graph | None:
    """The graph by the fast trace; None where that fails or gives an invalid graph, so that the exporter is used."""
    program = trace(module, image, BATCH)
    if program is None:
        return None
    try:
        return Builder(module, program, RULES).graph()
    except GraphError:
        return None
