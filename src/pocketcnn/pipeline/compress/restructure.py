"""Changes of the structure before channel pruning: smaller images, smaller kernels, fewer residual blocks."""

import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.pruning.kernel_shrink import shrink_kernels
from pocketcnn.compression.pruning.residual_blocks import remove_blocks
from pocketcnn.compression.resolution import at_resolution
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compress.pruning import CRITERION_IMAGES
from pocketcnn.pipeline.compression_run import CompressionRun, recover
from pocketcnn.training import recalibrate


class UpsampledTeacher(nn.Module):
    """A teacher with another input size than its student: it scales the student's images to its own size."""

    def __init__(self, network: GraphNetwork) -> None:
        super().__init__()
        self.network, self.size = network, network.graph.input_shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) of the student -> logits (N, classes) of the teacher."""
        scaled = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)
        logits: Tensor = self.network(scaled)
        return logits


def resized(network: GraphNetwork, resolution: tuple[int, int] | None) -> GraphNetwork:
    """`network` for images of the size `resolution` (height, width); unchanged if it is None.

    Raises:
        UsageError: an operation depends on the size of its feature maps.
    """
    if resolution is None or resolution == network.graph.input_shape[1:]:
        return network
    return at_resolution(network, *resolution)


def restructure(given: GraphNetwork, run: CompressionRun) -> GraphNetwork:
    """Change the structure as `run.method` requests, and fine-tune with `given` as teacher.

    `given` itself is returned if nothing is requested or nothing can be changed.
    """
    method, images = run.method, run.sets.calibration(CRITERION_IMAGES)
    network = resized(given, method.resolution)
    settings: dict[str, object] = {}
    if network is not given:
        settings["resolution"] = list(network.graph.input_shape[1:])
    if method.small_kernels:
        network, shrunk = shrink_kernels(network)
        settings |= {"kernels": list(shrunk)} if shrunk else {}
    if method.blocks:
        recalibrate(network, images)
        network, removed = _without_blocks(network, run, images)
        settings |= {"blocks": list(removed)} if removed else {}
    if not settings:
        run.say("The structure of this network cannot be made smaller by the requested options")
        return given
    recalibrate(network, images)
    teacher = given if network.graph.input_shape == given.graph.input_shape else UpsampledTeacher(given)
    recover("restructured", network, teacher, run, settings)
    return network


def _without_blocks(network: GraphNetwork, run: CompressionRun, images: Tensor) -> tuple[GraphNetwork, tuple[str, ...]]:
    evaluator = BudgetEvaluator(run.budget, weights=run.method.weights)
    removed = remove_blocks(network.graph, evaluator.fits, images, run.method.blocks)
    return GraphNetwork(removed.graph, network.info), tuple(block.output for block in removed.blocks)
