"""Augmentation by name: policies are lists of torchvision transforms, applied to uint8 images before normalization.

``none``      no augmentation
``light``     small rotations, shifts and scalings without flips: for digits, glyphs, icons
``standard``  random resized crop and horizontal flip: for photos
``strong``    and TrivialAugmentWide (Müller & Hutter 2021, arXiv:2103.10158) and random erasing (Zhong et al. 2017,
              arXiv:1708.04896): for long training on few photos
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
"""Placeholders that are resolved from the contract: (height, width); the mean colour, 0 … 255; a border wide enough for
rotation and shift; a shift by `LARGEST_SHIFT` of the image, as a share of the image with border."""

LARGEST_SHIFT = (
    0.07  # share of the side; of 8 pixels rarely one, because whole-pixel shifts of 8 x 8 digits cost accuracy
)


@dataclass(frozen=True)
class Step:
    """One class of `torchvision.transforms.v2` and its arguments."""

    transform: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """Transforms in order. `source_scale`: size of the source image relative to the input, so that crops stay sharp."""

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
            # Repeating the border first fills the area that the shifted image leaves with its background colour.
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
    """A policy for one input size: uint8 (C, H', W') or (N, C, H', W') to uint8 with the contract's (C, H, W).

    All images of a batch get the same random parameters; `augment_batch` draws them per image. The random numbers come
    from torch's global generator. It is pickled as (policy, contract), because a worker process imports torchvision itself.
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
    """Augment uint8 (N, C, H', W') with separate random parameters per image, or per group of tiny images.

    A draw takes 0.1 to 0.3 ms, for one 8 x 8 image as for eight. So up to 8 consecutive images of the batch share one if
    they have at most 4096 pixels together; since batches are shuffled, the groups change from epoch to epoch.
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
    """Border in pixels: a third of the longer side plus 1, enough for 10 degrees, a scale of 0.9 and the shift."""
    return math.ceil(max(contract.height, contract.width) / 3) + 1
