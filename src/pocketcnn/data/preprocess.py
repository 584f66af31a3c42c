"""From an image to the network's input, the one deterministic way: for evaluation, calibration and parity.

Only Pillow and division are involved, so that the steps can be followed anywhere: one call of Pillow brings the
image to size (`Image.resize`, `ImageOps.fit` or `ImageOps.pad`), and ``(pixels / 255 - mean) / std`` in float32
makes the tensor.
"""

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pocketcnn.data.images import to_8bit_image
from pocketcnn.graph.contract import InputContract

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def preprocess(image: Image.Image, contract: InputContract) -> Tensor:
    """The input tensor of `image`: float32 (C, H, W)."""
    return normalize(channels_first(to_pixels(image, contract)), contract)


def to_pixels(image: Image.Image, contract: InputContract) -> npt.NDArray[np.uint8]:
    """The image in the contract's channels and size, before normalization: uint8 (H, W, C)."""
    pixels = np.array(_resized(to_8bit_image(image, contract.channels), contract))
    return pixels.reshape(contract.height, contract.width, contract.channels)


def channels_first(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, C) as a tensor (C, H, W)."""
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def normalize(pixels: Tensor, contract: InputContract) -> Tensor:
    """uint8 (..., C, H, W) to float32: ``(pixels / 255 - mean) / std`` channel by channel."""
    mean = torch.tensor(contract.mean, dtype=torch.float32).view(-1, 1, 1)
    std = torch.tensor(contract.std, dtype=torch.float32).view(-1, 1, 1)
    return pixels.to(torch.float32).div_(255).sub_(mean).div_(std)


def _resized(image: Image.Image, contract: InputContract) -> Image.Image:
    size = (contract.width, contract.height)
    method = RESAMPLING[contract.interpolation]
    if contract.resize == "crop":
        return ImageOps.fit(image, size, method)
    if contract.resize == "letterbox":
        return ImageOps.pad(image, size, method, color=0)
    return image.resize(size, method)
