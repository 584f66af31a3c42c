"""A network of another structure before its channels are looked at: smaller images, smaller kernels, fewer blocks."""

import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.compression.blocks import remove_blocks
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.kernel_shrink import shrink_kernels
from pocketcnn.compression.resolution import at_resolution
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compression_run import Bench, recover
from pocketcnn.pipeline.narrowing import EVIDENCE
from pocketcnn.training import recalibrate


class Enlarged(nn.Module):
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


def restructure(given: GraphNetwork, bench: Bench) -> GraphNetwork:
    """`given` as the bench's method asks, recovered against `given`; itself where nothing is asked or can be done."""
    method, images = bench.method, bench.sets.calibration(EVIDENCE)
    network = resized(given, method.resolution)
    settings: dict[str, object] = {}
    if network is not given:
        settings["resolution"] = list(network.graph.input_shape[1:])
    if method.small_kernels:
        network, shrunk = shrink_kernels(network)
        settings |= {"kernels": list(shrunk)} if shrunk else {}
    if method.blocks:
        recalibrate(network, images)
        network, gone = _shallower(network, bench, images)
        settings |= {"blocks": list(gone)} if gone else {}
    if not settings:
        bench.say("There is nothing in the structure of this network that could be made smaller as asked")
        return given
    recalibrate(network, images)
    teacher = given if network.graph.input_shape == given.graph.input_shape else Enlarged(given)
    recover("restructured", network, teacher, bench, settings)
    return network


def _shallower(network: GraphNetwork, bench: Bench, images: Tensor) -> tuple[GraphNetwork, tuple[str, ...]]:
    evaluator = BudgetEvaluator(bench.budget, weights=bench.method.weights)
    removed = remove_blocks(network.graph, evaluator.fits, images, bench.method.blocks)
    return GraphNetwork(removed.graph, network.info), tuple(block.output for block in removed.blocks)
