"""From any `nn.Module` to a `Graph`, through a quick trace of our own or through `torch.export`, to the same result.

The module is traced or exported in eval mode with a batch of images; the batch axis is then taken off every shape. What the
exporter calls a "call_function" becomes a node by the table in `aten.py`; parameters, buffers and constants keep their names.
Names of nodes are the paths of the modules that made them.
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


def capture(module: nn.Module, example_input: Tensor | Sequence[int]) -> Graph:
    """Capture what `module` computes at inference, and its dropout and batch normalization for training.

    Stochastic depth (drop path), a regulariser of training alone that leaves no trace at inference, is not captured: the
    graph trains with all its paths.

    Args:
        module: any network with one image tensor in and one tensor out. It is not changed.
        example_input: images (N, C, H, W), or just that shape. The spatial size is fixed by it, the batch axis stays free.

    Raises:
        CaptureError: an operation outside the IR, or one that depends on the values of the images or mixes images.
    """
    shape = tuple(example_input.shape if isinstance(example_input, Tensor) else example_input)
    if len(shape) < 2 or min(shape) < 1:
        raise CaptureError(f"The example input has shape {shape}; (N, C, H, W) is needed.")
    with evaluated(module):
        return _traced(module, shape[1:]) or Builder(module, export(module, shape[1:]), RULES).graph()


def _traced(module: nn.Module, image: Shape) -> Graph | None:
    """The graph, if the quick way finds one; where it does not, or not a sound one, the exporter is to say why."""
    program = trace(module, image, BATCH)
    if program is None:
        return None
    try:
        return Builder(module, program, RULES).graph()
    except GraphError:
        return None
