"""How good sub-networks are without training: taken out, their batch norms told new statistics, and tried on held-out images."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketcnn.nas.supernet.network import Supernet, at_size, extract
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.training import recalibrate
from pocketcnn.training.devices import choose_device, device_of, placed
from pocketcnn.training.evaluate import Score, score

BATCH = 256


@dataclass(frozen=True)
class SubnetworkEvaluator:
    """Images by which sub-networks are judged, all of the supernet's largest size.

    Attributes:
        calibration: training images (M, C, H, W) that give batch norms their statistics.
        images, labels: held-out images (N, C, H, W) and their labels (N,).
    """

    calibration: Tensor
    images: Tensor
    labels: Tensor

    def score(self, network: nn.Module, size: tuple[int, int], device: str = "auto") -> Score:
        """Loss and accuracy of an ordinary network on the held-out images brought to (height, width)."""
        with placed(network, choose_device(device), training=False):
            where = device_of(network)
            parts = zip(torch.split(self.images, BATCH), torch.split(self.labels, BATCH), strict=True)
            return score(network, ((at_size(images, size).to(where), labels.to(where)) for images, labels in parts))


def recalibrated(supernet: Supernet, choice: Subnetwork, calibration: Tensor, device: str = "auto") -> nn.Module:
    """The sub-network as an ordinary network whose batch norms know its own values.

    Running statistics belong to the largest network, and a sub-network may guess with them (BigNAS calls this batch norm
    calibration, "Universally Slimmable Networks" post-statistics).

    Args:
        calibration: training images (M, C, H, W) of any size.
    """
    network = extract(supernet, choice)
    with placed(network, choose_device(device), training=False):
        recalibrate(network, at_size(calibration, choice.size))
    return network


def accuracy_of(supernet: Supernet, choice: Subnetwork, held_out: SubnetworkEvaluator, device: str = "auto") -> float:
    """Top-1 of a sub-network, 0 to 1, after `recalibrated`."""
    return held_out.score(recalibrated(supernet, choice, held_out.calibration, device), choice.size, device).top1
