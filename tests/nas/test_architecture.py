"""Architecture files: what a search leaves as network.toml builds the same network again, changed by hand or not."""

import re
from pathlib import Path

import numpy as np
import pytest

import pocketcnn as pc
from pocketcnn.errors import UsageError
from pocketcnn.nas.architecture import load_architecture
from pocketcnn.nas.point_file import load_point, save_point
from pocketcnn.nas.space import Space, Task
from pocketcnn.nas.spaces import SPACES, load_space

TASK = Task(classes=3, channels=1, height=16, width=16)
OWN_TOML = """
stem = 8
last = 16

[[block]]
kernel = [3, 5]
filters = [8, 12]
"""
OWN_PYTHON = """
from torch import nn

DECISIONS = {"filters": [4, 8]}

def build(point, task):
    features = nn.Conv2d(task.channels, point["filters"], 3, padding=1)
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(point["filters"], task.classes))
"""


def space_of_kind(kind: str, folder: Path) -> Space:
    """A space by its name, at a width that is not the default, or a user's own from a file."""
    if kind == "own.toml" or kind == "own.py":
        (folder / kind).write_text(OWN_TOML if kind == "own.toml" else OWN_PYTHON)
        return load_space(str(folder / kind))
    if kind == "nasnet, transferred":
        return load_space("nasnet", 0.25).larger()[1]
    return load_space(kind, 0.25)


@pytest.mark.parametrize("suffix", [".toml", ".json"])
@pytest.mark.parametrize(
    "kind", [*SPACES, "nasnet, transferred", "scaling:mobilenet_v2", "scaling:resnet18", "own.toml", "own.py"]
)
def test_the_file_alone_builds_the_network_that_was_found(kind: str, suffix: str, tmp_path: Path) -> None:
    space = space_of_kind(kind, tmp_path)
    point = space.random(np.random.default_rng(2))
    path = tmp_path / f"network{suffix}"
    save_point(path, space, point)
    again = load_architecture(path)
    assert again.point == point
    assert again.input_size(TASK) == space.input_size(point, TASK)
    assert str(again.build(TASK)) == str(space.build(point, TASK))  # every layer with its sizes
    assert str(pc.build_architecture(path, classes=3, input_shape=(1, 16, 16))) == str(space.build(point, TASK))
    assert load_point(path, space) == point


def test_a_choice_changed_by_hand_changes_the_network(tmp_path: Path) -> None:
    space = load_space("mobilenet_v3", 0.25)
    path = tmp_path / "network.toml"
    save_point(path, space, space.random(np.random.default_rng(0)))
    text = path.read_text()
    given = int(re.findall(r"kernel = (\d)", text)[0])
    path.write_text(text.replace(f"kernel = {given}", f"kernel = {10 - given if given != 5 else 3}", 1))
    assert load_architecture(path).point["block1.kernel"] == (10 - given if given != 5 else 3)
    assert f"kernel_size=({10 - given if given != 5 else 3}," in str(load_architecture(path).build(TASK))


def test_a_file_of_a_users_space_goes_along_with_it(tmp_path: Path) -> None:
    """The path in the file is where the search was run; beside the file is looked next."""
    (tmp_path / "there").mkdir()
    space = space_of_kind("own.toml", tmp_path / "there")
    save_point(tmp_path / "network.toml", space, space.random(np.random.default_rng(0)))
    (tmp_path / "there" / "own.toml").rename(tmp_path / "own.toml")
    assert load_architecture(tmp_path / "network.toml").space.name == "own"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[block1]\nkernel = 3\n", "does not name its search space"),
        ("space = 3\n", "space must be a name or a table such as"),
        ('space = {width = 0.5}\n', "space must be a name or a table such as"),
        ('space = "mnasnat"\n', "Did you mean mnasnet?"),
        ('space = {name = "mnasnet", height = 2}\n', "The search space mnasnet has no option height."),
        ('space = {name = "mnasnet", width = "wide"}\n', "The width of a search space must be a number, not 'wide'."),
        ('space = {name = "nasnet", cells = 0, filters = 8}\n', "cells of a search space must be a whole number above 0, not 0."),
        ('space = {name = "scaling:mobilenet_v2", width = 0.5}\n', "has no option width"),
        ('space = {name = "mine", file = "absent.toml"}\n', "Cannot read the search space"),
        ('space = "scaling:mobilenet_v2"\nwidth = 0.3\n', "width must be one of 0.1, 0.15"),
        ("space = \n", "is not valid TOML"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "network.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        load_architecture(tmp_path / "network.toml")
    assert says in str(error.value)
