"""A network of another structure before its channels are looked at: smaller images, smaller kernels, fewer blocks."""

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
    """A teacher that sees images of another size than its student: it gets them brought to its own."""

    def __init__(self, network: GraphNetwork) -> None:
        super().__init__()
        self.network, self.size = network, network.graph.input_shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the logits (N, classes) of the network."""
        scaled = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)
        answer: Tensor = self.network(scaled)
        return answer


def resized(network: GraphNetwork, resolution: tuple[int, int] | None) -> GraphNetwork:
    """`network` for images of that size (height, width).

    Raises:
        UsageError: it is made for the size of its maps.
    """
    if resolution is None or resolution == network.graph.input_shape[1:]:
        return network
    return at_resolution(network, *resolution)


def restructure(given: GraphNetwork, run: CompressionRun) -> GraphNetwork:
    """`given` as the bench's method asks, recovered against `given`; itself where nothing is asked or can be done."""
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
        network, gone = _shallower(network, run, images)
        settings |= {"blocks": list(gone)} if gone else {}
    if not settings:
        run.say("There is nothing in the structure of this network that could be made smaller as asked")
        return given
    recalibrate(network, images)
    teacher = given if network.graph.input_shape == given.graph.input_shape else UpsampledTeacher(given)
    recover("restructured", network, teacher, run, settings)
    return network


def _shallower(network: GraphNetwork, run: CompressionRun, images: Tensor) -> tuple[GraphNetwork, tuple[str, ...]]:
    evaluator = BudgetEvaluator(run.budget, weights=run.method.weights)
    removed = remove_blocks(network.graph, evaluator.fits, images, run.method.blocks)
    return GraphNetwork(removed.graph, network.info), tuple(block.output for block in removed.blocks)
