"""Images for a comparison of runtimes: one set for int8 calibration and batch norms, another for comparing outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketcnn.data.images import load_image
from pocketcnn.data.links import images_in
from pocketcnn.data.preprocess import preprocess
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract

CALIBRATION, COMPARISON = 64, 32
"""Largest number of images of each set."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet, for networks without an input contract."""


@dataclass(frozen=True)
class BenchImages:
    """Two disjoint sets (N, C, H, W), preprocessed for one network; `real` if they come from files."""

    calibration: Tensor
    comparison: Tensor
    real: bool


def bench_images(network: GraphNetwork, files: Sequence[Path]) -> BenchImages:
    """Two sets of evenly spaced image `files`; random images (mean 0, standard deviation 1) if there are no files.

    Every third image is for the comparison.

    Raises:
        UsageError: there are fewer than 3 files.
        PocketcnnError: a file cannot be read.
    """
    shape = network.graph.input_shape
    if not files:
        random = torch.Generator().manual_seed(0)
        images = torch.randn(CALIBRATION + COMPARISON, *shape, generator=random)
        return BenchImages(images[:CALIBRATION], images[CALIBRATION:], real=False)
    if len(files) < 3:
        raise UsageError(f"{len(files)} images are too few: at least 3 are needed for calibration and comparison.")
    chosen = some_images(network, files, CALIBRATION + COMPARISON)
    calibration = [image for index, image in enumerate(chosen) if index % 3 != 2]
    return BenchImages(torch.stack(calibration), chosen[2::3], real=True)


def some_images(network: GraphNetwork, files: Sequence[Path], limit: int) -> Tensor:
    """Up to `limit` evenly spaced image files (N, C, H, W) as inputs of `network`.

    Raises:
        PocketcnnError: a file cannot be read.
    """
    contract = network.info.input or _usual_contract(network.graph.input_shape)
    return torch.stack([load(path, contract) for path in _evenly(files, limit)])


def load(path: Path, contract: InputContract) -> Tensor:
    """Load one image file as the input (C, H, W) of a network."""
    return preprocess(load_image(path, contract.channels, contract.deep_range), contract)


def image_files(folder: Path) -> list[Path]:
    """All image files in a folder and its subfolders, sorted.

    Raises:
        UsageError: it is not a folder, or it contains no images.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    files = images_in(folder)
    if not files:
        raise UsageError(f"There are no images in {folder}.")
    return files


def initialize_batch_norm_statistics(network: nn.Module, images: Tensor, batch: int = 16) -> None:
    """Set the batch-norm statistics of an untrained network to those of `images` (N, C, H, W).

    With the initial statistics, activations of a deep network vanish or overflow, and its int8 outputs are meaningless.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # the mean over all batches
    network.train()
    with torch.no_grad():
        for part in torch.split(images, batch):
            network(part)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    network.eval()


def _usual_contract(shape: tuple[int, ...]) -> InputContract:
    channels, height, width = shape
    read_as: Literal[1, 3] = 1 if channels == 1 else 3
    mean, std = ((0.5,), (0.25,)) if read_as == 1 else (MEAN, STD)
    return InputContract(channels=read_as, height=height, width=width, resize="crop", mean=mean, std=std)


def _evenly(files: Sequence[Path], limit: int) -> list[Path]:
    count = min(limit, len(files))
    return [files[index * len(files) // count] for index in range(count)]
