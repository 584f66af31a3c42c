"""A training is resumed only with what it was begun with; a difference is named, and nothing is overwritten."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.pipeline.train.train_folder import train_folder
from pocketcnn.training import Recipe
from pocketcnn.training.basis import KEY
from pocketcnn.training.checkpoint import checkpoints
from tests.support.cli import write_digits
from tests.support.training import Notes

RECIPE = Recipe(epochs=1, warmup_epochs=0, batch_size=16, seed=1)


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of images, and the training on it."""
    data, out = write_digits(tmp_path / "data", classes=3, each=8), tmp_path / "out"
    again(data, out)
    return data, out


def again(data: Path, out: Path, network: str = "mobilenet_v2", **options: object) -> None:
    train_folder(data, network, out, **{"width": 0.1, "recipe": RECIPE, "resume": True, **options})  # type: ignore[arg-type]


def first(data: Path, name: str) -> Path:
    return sorted((data / name).iterdir())[0]


def replace_one(data: Path) -> None:
    image = first(data, "zero")
    image.write_bytes(image.read_bytes() + b"other bytes")


def swap_labels(data: Path) -> None:
    (data / "one").rename(data / "x")
    (data / "two").rename(data / "one")
    (data / "x").rename(data / "two")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replace_one, "1 image of class zero was replaced"),
        (swap_labels, "8 images of class one were moved to class two"),
        (lambda data: first(data, "one").unlink(), "1 image of class one was removed"),
        (lambda data: (data / "two").rename(data / "deux"), "the classes differ|class two was renamed to deux"),
        (lambda data: shutil.copytree(data / "two", data / "four"), "the classes differ: four new"),
    ],
    ids=["replaced", "swapped", "removed", "renamed", "added"],
)
def test_other_images_are_named(begun: tuple[Path, Path], change: Callable[[Path], object], told: str) -> None:
    data, out = begun
    before = (out / "model.safetensors").read_bytes()
    change(data)
    with pytest.raises(UsageError, match=f"not the training that was interrupted.*({told}).*same images") as error:
        again(data, out)
    assert "--out" in str(error.value)
    assert (out / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": (10, 8)}, "the input's height was 8 and is 10"),
        ({"width": 0.25}, "the width was 0.1 and is 0.25"),
        ({"network": "mobilenet_v1"}, "the network was mobilenet_v2 and is mobilenet_v1"),
        ({"recipe": RECIPE.with_(epochs=2)}, "epochs was 1 and is 2"),
    ],
)
def test_another_input_network_or_recipe_is_named(
    begun: tuple[Path, Path], options: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        again(*begun, **options)


def test_the_same_in_another_place_is_resumed(begun: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = begun
    again(data.rename(tmp_path / "elsewhere"), out)


def changed(out: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = checkpoints(out / "checkpoints")[0]
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def test_a_checkpoint_of_an_earlier_version_is_resumed_with_a_note(begun: tuple[Path, Path]) -> None:
    data, out = begun
    changed(out, lambda state: state.pop(KEY))
    shown = Notes()
    again(data, out, progress_for=lambda _title: shown)
    assert any("does not say which images" in note for note in shown.notes)


@pytest.mark.parametrize("part", ["classes", "images", "facts", "versions"])
@pytest.mark.parametrize("value", [7, "x", [3], {"a": 1}, torch.zeros(2), ...])
def test_a_damaged_basis_is_refused_in_words(begun: tuple[Path, Path], part: str, value: object) -> None:
    data, out = begun

    def damage(state: dict[str, dict[str, object]]) -> None:
        if value is ...:
            del state[KEY][part]
        else:
            state[KEY][part] = value

    changed(out, damage)  # type: ignore[arg-type]
    with pytest.raises(PocketcnnError, match=r"cannot be used|not the training"):
        again(data, out)
