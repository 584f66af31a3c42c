"""Evaluation of sub-networks without training: extracted, batch norms recalibrated, tested on held-out images."""

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
    """The images on which sub-networks are evaluated, in the supernet's largest size.

    Attributes:
        calibration: training images (M, C, H, W) for the batch-norm statistics.
        images, labels: held-out images (N, C, H, W) and their labels (N,).
    """

    calibration: Tensor
    images: Tensor
    labels: Tensor

    def score(self, network: nn.Module, size: tuple[int, int], device: str = "auto") -> Score:
        """Loss and accuracy of an ordinary network on the held-out images, resized to (height, width)."""
        with placed(network, choose_device(device), training=False):
            where = device_of(network)
            parts = zip(torch.split(self.images, BATCH), torch.split(self.labels, BATCH), strict=True)
            return score(network, ((at_size(images, size).to(where), labels.to(where)) for images, labels in parts))


def recalibrated(supernet: Supernet, choice: Subnetwork, calibration: Tensor, device: str = "auto") -> nn.Module:
    """The sub-network as an ordinary network with its own batch-norm statistics.

    The supernet's running statistics belong to the largest network, with which a sub-network may be no better than chance
    (BigNAS calls this batch norm calibration, "Universally Slimmable Networks" post-statistics).

    Args:
        supernet: a trained supernet.
        choice: the sub-network.
        calibration: training images (M, C, H, W) of any size.
        device: where it runs.
    """
    network = extract(supernet, choice)
    with placed(network, choose_device(device), training=False):
        recalibrate(network, at_size(calibration, choice.size))
    return network


def accuracy_of(supernet: Supernet, choice: Subnetwork, held_out: SubnetworkEvaluator, device: str = "auto") -> float:
    """Top-1 accuracy of a sub-network, 0 to 1, after `recalibrated`."""
    return held_out.score(recalibrated(supernet, choice, held_out.calibration, device), choice.size, device).top1
