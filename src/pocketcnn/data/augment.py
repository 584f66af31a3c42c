"""Augmentation by name: policies are lists of torchvision transforms, applied to uint8 images before normalization.

``none``      nothing
``light``     small turns, shifts and scalings, nothing mirrored: for digits, glyphs, icons
``standard``  random resized crop and horizontal flip: for photos
``strong``    and TrivialAugmentWide (Müller & Hutter 2021, arXiv:2103.10158) and random erasing (Zhong et al. 2017,
              arXiv:1708.04896): for long trainings on few photos
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.graph.contract import InputContract
from pocketcnn.vision import require_torchvision

SIZE, MEAN, MARGIN, SHIFT, BILINEAR = "$size", "$mean", "$margin", "$shift", "$bilinear"
"""Stand for what follows from the contract: (height, width); the mean colour in 0 ... 255; a border that turning and
shifting never reach beyond; a shift by `LARGEST_SHIFT` of the image, as a share of the image with its border."""

LARGEST_SHIFT = 0.07  # of the side; of 8 pixels rarely one: whole-pixel shifts of 8 x 8 digits cost accuracy when tried


@dataclass(frozen=True)
class Step:
    """One class of `torchvision.transforms.v2` and its arguments."""

    transform: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """Steps in order. `source_scale`: how much larger than the input the image should come, so that crops stay sharp."""

    steps: tuple[Step, ...] = ()
    source_scale: float = 1.0


_CROP_AND_FLIP = (
    Step("RandomResizedCrop", {"size": SIZE, "scale": (0.35, 1.0), "interpolation": BILINEAR, "antialias": True}),
    Step("RandomHorizontalFlip"),
)

POLICIES = {
    "none": Policy(),
    "light": Policy(
        (
            # Repeating the border first keeps the background, whatever its colour, where the image moves away.
            Step("Pad", {"padding": MARGIN, "padding_mode": "edge"}),
            Step(
                "RandomAffine",
                {"degrees": 10, "translate": SHIFT, "scale": (0.9, 1.1), "interpolation": BILINEAR},
            ),
            Step("CenterCrop", {"size": SIZE}),
        )
    ),
    "standard": Policy(_CROP_AND_FLIP, source_scale=1.25),
    "strong": Policy(
        (
            *_CROP_AND_FLIP,
            Step("TrivialAugmentWide", {"interpolation": BILINEAR, "fill": MEAN}),
            Step("RandomErasing", {"p": 0.25, "value": MEAN}),
        ),
        source_scale=1.25,
    ),
}

PIXELS_PER_DRAW = 4096
MOST_IMAGES_PER_DRAW = 8


class Augmentation:
    """A policy made for one input size: uint8 (C, H', W') or (N, C, H', W') to uint8 of the contract's (C, H, W).

    A batch gets one draw of the random parameters; `augment_batch` gives it many. The draws come from torch's global
    generator. Pickles as (policy, contract), because a worker process must import torchvision in its own way.
    """

    def __init__(self, policy: str, contract: InputContract) -> None:
        self.policy = policy
        self.contract = contract
        self.source_scale = POLICIES[policy].source_scale
        vision = require_torchvision("transforms.v2")
        self._transforms = [_build(vision, step, contract) for step in POLICIES[policy].steps]

    def __call__(self, images: Tensor) -> Tensor:
        for transform in self._transforms:
            images = cast(Tensor, transform(images))
        return images

    def __reduce__(self) -> tuple[Any, ...]:
        return (Augmentation, (self.policy, self.contract))


def build_augmentation(policy: str, contract: InputContract) -> Augmentation:
    """The augmentation called `policy` (``none``, ``light``, ``standard`` or ``strong``) for the input of `contract`.

    Raises:
        UsageError: there is no such policy.
    """
    if policy not in POLICIES:
        raise UsageError(f"There is no augmentation '{policy}'. Choose one of {', '.join(POLICIES)}.")
    return Augmentation(policy, contract)


def augment_batch(images: Tensor, augmentation: Callable[[Tensor], Tensor]) -> Tensor:
    """Augment uint8 (N, C, H', W'), with a draw of its own for every image, or every few where they are tiny.

    A draw costs the same 0.1 to 0.3 ms for one 8 x 8 image as for eight, so up to 8 neighbours in the batch share one
    as long as they have at most 4096 pixels together; batches are shuffled, so other neighbours share the next.
    """
    height, width = images.shape[-2:]
    together = min(MOST_IMAGES_PER_DRAW, max(1, PIXELS_PER_DRAW // (height * width)))
    if together == 1:
        return torch.stack([augmentation(image) for image in images])
    return torch.cat([augmentation(images[start : start + together]) for start in range(0, len(images), together)])


def _build(vision: Any, step: Step, contract: InputContract) -> Any:
    arguments = {name: _resolve(vision, value, contract) for name, value in step.arguments.items()}
    return getattr(vision, step.transform)(**arguments)


def _resolve(vision: Any, value: Any, contract: InputContract) -> Any:
    if value == SIZE:
        return (contract.height, contract.width)
    if value == MEAN:
        return [255 * mean for mean in contract.mean]
    if value == MARGIN:
        return _margin(contract)
    if value == SHIFT:
        return tuple(
            LARGEST_SHIFT * side / (side + 2 * _margin(contract)) for side in (contract.width, contract.height)
        )
    if value == BILINEAR:
        return vision.InterpolationMode.BILINEAR
    return value


def _margin(contract: InputContract) -> int:
    """A third of the longer side and a pixel: half of it is out of reach of 10 degrees, a scale of 0.9 and the shift."""
    return math.ceil(max(contract.height, contract.width) / 3) + 1
