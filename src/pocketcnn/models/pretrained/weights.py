"""What is known of trained weights: the module that holds them, the images that they expect, and where they are from."""

from dataclasses import dataclass
from typing import Any, Literal, cast

from torch import nn

from pocketcnn.vision import require_torchvision

Interpolation = Literal["nearest", "bilinear", "bicubic"]
IMAGENET_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The images that the weights were trained for: RGB, divided by 255, then ``(pixel - mean) / std``.

    Attributes:
        size: (height, width) in pixels.
        crop: share of the shorter side that the input shows in the published evaluation, the centre of the image.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    crop: float
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights are from. `file` is a name without folders, and `licence` None where the source states none."""

    source: str
    file: str
    sha256: str
    licence: str | None

    def as_settings(self, preprocessing: Preprocessing) -> dict[str, Any]:
        """The origin as settings of a stage of the lineage."""
        return {
            "source": self.source,
            "file": self.file,
            "sha256": self.sha256,
            "licence": self.licence or "not stated",
            "published_size": list(preprocessing.size),
            "published_crop": preprocessing.crop,
        }


@dataclass(frozen=True, slots=True)
class TrainedModule:
    """A network with trained weights, in evaluation mode. `classes` is empty where their names are unknown."""

    module: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    origin: Origin


def interpolation_of(name: str) -> Interpolation:
    """The nearest way of resizing that an input contract has: Lanczos becomes bicubic, unknown ones bilinear."""
    name = name.lower().replace("lanczos", "bicubic")
    return cast(Interpolation, name) if name in ("nearest", "bilinear", "bicubic") else "bilinear"


def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1000 classes of ImageNet in their usual order, as torchvision lists them."""
    weights = require_torchvision("models").get_model_weights("resnet18").DEFAULT
    return tuple(weights.meta["categories"])
