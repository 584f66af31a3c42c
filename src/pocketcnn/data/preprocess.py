"""Deterministic preprocessing of an image to the network's input, for evaluation, calibration and parity checks.

It is easy to reproduce on a device: the functions of `pixels` need Pillow and NumPy only, and ``(pixels / 255 - mean) / std`` in
float32 gives the tensor.
"""

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from pocketcnn.data.pixels import resized, to_8bit_image
from pocketcnn.graph.contract import InputContract


def preprocess(image: Image.Image, contract: InputContract) -> Tensor:
    """The input tensor of `image`: float32 (C, H, W)."""
    return normalize(channels_first(to_pixels(image, contract)), contract)


def to_pixels(image: Image.Image, contract: InputContract) -> npt.NDArray[np.uint8]:
    """The image with the contract's channels and size, before normalization: uint8 (H, W, C)."""
    size = (contract.width, contract.height)
    pixels = np.array(
        resized(
            to_8bit_image(image, contract.channels, contract.deep_range), size, contract.resize, contract.interpolation
        )
    )
    return pixels.reshape(contract.height, contract.width, contract.channels)


def channels_first(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, C) as a tensor (C, H, W)."""
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def normalize(pixels: Tensor, contract: InputContract) -> Tensor:
    """uint8 (..., C, H, W) to float32: ``(pixels / 255 - mean) / std`` channel by channel."""
    mean = torch.tensor(contract.mean, dtype=torch.float32).view(-1, 1, 1)
    std = torch.tensor(contract.std, dtype=torch.float32).view(-1, 1, 1)
    return pixels.to(torch.float32).div_(255).sub_(mean).div_(std)
