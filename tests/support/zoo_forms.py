"""The networks of the zoo in forms that are quick to run, for the tests that every network must pass."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.models.registry import registration

NAMES = zoo.list_models()

SIBLINGS = frozenset(
    [f"vgg{depth}{form}" for depth in (13, 16, 19) for form in ("", "_bn")]
    + [f"efficientnet_lite{size}" for size in range(1, 5)]
    + ["resnet34", "resnet101", "mnasnet_b1", "condensenet_74", "condensenet_182", "shiftnet_a", "nasnet_large"]
)
"""Networks of the same class and blocks as another one, only deeper or wider: what is costly is tested on the other."""

VGGS = [name for name in NAMES if name.startswith("vgg")]
SMALLEST_SIDE = {name: registration(name).smallest_side for name in NAMES}
"""Pixels a side that an image must have at least."""

SMALL_FORM: dict[str, dict[str, object]] = {
    **{name: {"head_width": 16} for name in ["alexnet", *VGGS]},
    "condensenet_86": {"depth": 14},
    "nasnet_large": {"drop_path": 0.0},
}
"""Options that make a network without width multiplier smaller."""


def each(names: list[str] | None = None) -> list[object]:
    """Parameters for a costly test: siblings run in the slow suite."""
    marks = {name: [pytest.mark.slow] if name in SIBLINGS else [] for name in NAMES}
    return [pytest.param(name, marks=marks[name]) for name in names or NAMES]


def having(option: str) -> list[str]:
    """The networks that take this option."""
    return [name for name in NAMES if option in zoo.network_options(name)]


def small(name: str, **options: object) -> nn.Module:
    """The network from a fixed seed with 10 classes, as narrow as it can be."""
    torch.manual_seed(0)
    narrow: dict[str, object] = {"width": 0.25} if "width" in zoo.network_options(name) else {}
    return zoo.create(name, **{"classes": 10, **narrow, **SMALL_FORM.get(name, {}), **options})


def side(name: str, at_least: int = 16) -> int:
    """A small image that the network takes."""
    return max(at_least, SMALLEST_SIDE[name])


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in network.state_dict().items()}
