"""Checks of the inputs of a training, before it starts."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pocketcnn.errors import UsageError
from pocketcnn.training.batches import size_of
from pocketcnn.training.devices import device_of


def check_sets(train_set: Dataset[Any], val_set: Dataset[Any]) -> None:
    """Check that both sets have images.

    Raises:
        UsageError: one of them is empty.
    """
    for name, dataset in (("training", train_set), ("validation", val_set)):
        if size_of(dataset) == 0:
            raise UsageError(f"The {name} set has no images.")


def sample_images(dataset: Dataset[Any], device: torch.device) -> Tensor:
    """The first image of a set as a batch (1, C, H, W).

    Raises:
        UsageError: the samples are not pairs of a float image (C, H, W) and a label.
    """
    sample = dataset[0]
    image = sample[0] if isinstance(sample, tuple | list) and len(sample) == 2 else None
    if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
        raise UsageError(
            "A sample of the training set must be a float tensor (C, H, W) and a label, "
            f"but it is {_described(sample)}."
        )
    return image[None].to(device)


@torch.no_grad()
def count_classes(network: nn.Module, images: Tensor, role: str = "network") -> int:
    """The number of classes of a network in eval mode, from its logits for images (1, C, H, W).

    Raises:
        UsageError: it does not accept such images, or does not return logits (N, classes).
    """
    try:
        logits = network(images)
    except (RuntimeError, ValueError) as error:
        shape = " x ".join(str(side) for side in images.shape[1:])
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"The {role} does not accept images of {shape} (channels x height x width): {reason}"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise UsageError(f"The {role} must return logits (N, classes), but it returns {_described(logits)}.")
    return logits.shape[1]


def check_teacher(teacher: nn.Module, images: Tensor, classes: int) -> None:
    """Check that a teacher in eval mode has as many classes as the student.

    Raises:
        UsageError: it does not accept the images, or has another number of classes.
    """
    found = count_classes(teacher, images.to(device_of(teacher)), role="teacher")
    if found != classes:
        raise UsageError(f"The teacher has {found} classes and the network has {classes}; the numbers must be equal.")


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_described(part) for part in cast(tuple[object, ...], value)) + ")"
    return f"a {type(value).__name__}"
