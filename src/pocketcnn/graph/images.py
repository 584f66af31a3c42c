"""Checks of the images that a network is given."""

import torch
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph.node import Shape


def dtype_of(network: nn.Module) -> torch.dtype | None:
    """The type of the weights; None if the network has none."""
    return next((parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()), None)


def check_images(images: object, shape: Shape, dtype: torch.dtype | None) -> None:
    """Check images for a network that takes (N, *shape) and whose weights have the type `dtype` (None: it has none).

    Raises:
        UsageError: they are no such tensor.
    """
    expected = f"(N, {', '.join(map(str, shape))})"
    if not isinstance(images, Tensor):
        raise UsageError(f"The network takes a tensor of images {expected}, not a {type(images).__name__}.")
    if tuple(images.shape[1:]) != shape or images.ndim != len(shape) + 1:
        raise UsageError(f"The network takes images of shape {expected}, not {tuple(images.shape)}.")
    if not images.is_floating_point():
        raise UsageError(
            f"The network takes preprocessed images, float32, not {_name(images.dtype)}. Convert and normalize them as the "
            "input contract says (`pocketcnn.data.preprocess`)."
        )
    if dtype is not None and images.dtype != dtype and not torch.is_autocast_enabled(images.device.type):
        raise UsageError(
            f"The images are {_name(images.dtype)}, the weights {_name(dtype)}. Convert the images: images.to({dtype})."
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
