"""Folders as people have them: splits of many names, unlabelled images, system folders, names that cannot be stored."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pocketcnn.data import scan
from pocketcnn.data.folder_names import SPLIT_WORDS as SPLIT_NAMES
from pocketcnn.data.folder_names import is_hidden, split_of, twins
from pocketcnn.data.report import Kind
from pocketcnn.errors import UsageError
from tests.support.cli import document, fail, succeed

FILLERS = ["set", "images", "data", "imgs", "split", "Dataset"]
MARKS = ["_", "-", " ", ".", ""]


def fill(folder: Path, count: int, first: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(first + number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


def classes(folder: Path, count: int = 12, first: int = 0) -> None:
    for place, name in enumerate(("cat", "dog")):
        fill(folder / name, count, first + 100 * place)


@given(data=st.data())
def test_a_split_is_known_in_any_case_and_with_fillers(data: st.DataObject) -> None:
    split = data.draw(st.sampled_from(sorted(SPLIT_NAMES)))
    word = data.draw(st.sampled_from(sorted(SPLIT_NAMES[split])))
    mark = data.draw(st.sampled_from(MARKS))
    filler = data.draw(st.sampled_from(FILLERS))
    first = data.draw(st.booleans()) and bool(mark)
    name = data.draw(st.sampled_from([word, f"{filler}{mark}{word}" if first else f"{word}{mark}{filler}"]))
    spelled = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)
    assert split_of(spelled) == split


@pytest.mark.parametrize(
    "name",
    ["cat", "trainer", "tests of cars", "steam train", "contest", "data", "images", "set", "", "train_bus", "devil"],
)
def test_other_names_are_no_splits(name: str) -> None:
    assert split_of(name) == ""


def test_years_and_further_parts() -> None:
    assert [split_of(name) for name in ("train2017", "val2017", "test2019")] == ["train", "val", "test"]
    assert [split_of(name) for name in ("unlabeled", "Unlabelled_Images", "test1", "extra", "cat")] == [
        "unlabelled", "unlabelled", "test", "unlabelled", "",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["unlabeled", "test1", "unlabelled_images", "extra"])
def test_unlabelled_images_beside_train_are_no_class(name: str, tmp_path: Path) -> None:
    classes(tmp_path / "train")
    fill(tmp_path / name, 12, 500)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert any(f"{name} lies beside the splits: its images are not used" in note for note in folder.notes)


def test_images_of_any_name_beside_a_train_folder_of_classes_are_no_class(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    fill(tmp_path / "phone", 12, 500)
    assert scan(tmp_path).classes == ("cat", "dog")


@pytest.mark.parametrize("names", [("training_set", "test_set"), ("Train Images", "Test Images"), ("TRAIN", "holdout")])
def test_splits_by_other_names(names: tuple[str, str], tmp_path: Path) -> None:
    classes(tmp_path / names[0])
    classes(tmp_path / names[1], 4, 300)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert len(folder.test) == 8


def test_a_split_of_an_unknown_name_is_asked_for(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    classes(tmp_path / "second", 4, 300)
    with pytest.raises(UsageError, match=r"second holds the same folders as .*train.*Rename it to val or test"):
        scan(tmp_path)


def test_folders_of_the_same_folders_are_asked_about(tmp_path: Path) -> None:
    classes(tmp_path / "part1")
    classes(tmp_path / "part2", first=300)
    with pytest.raises(UsageError, match=r"Which are the classes\? \(1\) part1 and part2.*\(2\) cat, dog"):
        scan(tmp_path)


def test_a_class_with_a_split_s_name_that_holds_only_folders_is_asked_about(tmp_path: Path) -> None:
    fill(tmp_path / "test" / "old", 6, 0)
    fill(tmp_path / "test" / "new", 6, 100)
    fill(tmp_path / "cat", 12, 200)
    with pytest.raises(UsageError, match=r"Which are the classes\? \(1\) cat and test"):
        scan(tmp_path)


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", ".thumbnails", "__MACOSX", "lost+found", "$RECYCLE.BIN", "@tmp"]
)
def test_system_folders_are_no_classes_and_their_images_do_not_count(name: str, tmp_path: Path) -> None:
    classes(tmp_path)
    fill(tmp_path / name, 12, 500)
    fill(tmp_path / "cat" / name / "000.png", 2, 600)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert folder.report.used == 24
    assert {found.path for found in folder.report.of(Kind.HIDDEN)} == {name, f"cat/{name}"}
    assert is_hidden(name.upper())


def test_a_class_name_that_is_not_utf8_is_refused_before_work(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "dog").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    for command in (
        ["data", "check", tmp_path],
        ["train", tmp_path, "--network", "mobilenet_v2", "--out", tmp_path.parent / "out"],
    ):
        assert "not valid UTF-8" in fail(2, *command)
    assert not (tmp_path.parent / "out").exists()


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", " "])
def test_names_with_control_characters_are_refused(name: str, tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "dog").rename(tmp_path / name)
    with pytest.raises(UsageError, match="blank name or control characters"):
        scan(tmp_path)


@pytest.mark.parametrize(
    "alike",
    [
        ("Cat", "cat"),
        ("caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")),
        ("cat", "cat "),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_names_that_look_alike_are_noted(alike: tuple[str, str], tmp_path: Path) -> None:
    for place, name in enumerate((*alike, "other")):
        fill(tmp_path / name, 6, 100 * place)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system does not tell the names apart")
    assert any("differ only in case, spaces or Unicode form" in note for note in scan(tmp_path).notes)
    assert list(twins(["dog", "cow"])) == []


def test_the_notes_are_shown(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    fill(tmp_path / "unlabeled", 3, 500)
    assert "lies beside the splits" in " ".join(succeed("data", "check", tmp_path).stdout.split())
    assert any("lies beside the splits" in note for note in document("data", "check", tmp_path)["notes"])
