"""Folders as people have them: which folders are splits, which classes, which are neither; names and links."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.data import DataFolder, scan
from pocketcnn.data.folder_names import SPLIT_WORDS, fault_of, folded, shown, split_of
from pocketcnn.data.report import Kind
from pocketcnn.errors import UsageError
from tests.support.image_files import fill

FILLERS = ("", "set", "images", "data", "img", "split")


def classes(root: Path, *names: str, each: int = 4, seed: int = 0) -> Path:
    for number, name in enumerate(names):
        fill(root / name, each, seed + 100 * number)
    return root


@given(st.data())
def test_split_names_are_known_in_every_spelling(data: st.DataObject) -> None:
    split = data.draw(st.sampled_from(sorted(SPLIT_WORDS)))
    word = data.draw(st.sampled_from(sorted(SPLIT_WORDS[split])))
    filler = data.draw(st.sampled_from(FILLERS))
    parts = [word, filler] if data.draw(st.booleans()) else [filler, word]
    name = data.draw(st.sampled_from(["", "_", "-", " ", "."])).join(filter(None, parts))
    name += data.draw(st.sampled_from(["", "1", "_2017", "-01"]))
    assert split_of(data.draw(st.sampled_from([str.lower, str.upper, str.title]))(name)) == split


@pytest.mark.parametrize(
    "name",
    ["trains", "cat", "images", "data", "contest", "evil", "value", "latest", "valley", "devil", "extract", "12"],
)
def test_other_names_are_no_splits(name: str) -> None:
    assert split_of(name) == ""


@pytest.mark.parametrize("beside", ["unlabeled", "test1", "extra", "Unlabelled_Images", "testing-images", "leftovers"])
def test_flat_folders_beside_train_are_no_classes(tmp_path: Path, beside: str) -> None:
    classes(tmp_path / "train", "cat", "dog")
    fill(tmp_path / beside, 5, 900)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert folder.report.used == 8
    assert any(beside in note and "ot used" in note for note in folder.notes)


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("TrainImages", "evalImages"), ("trn", "tst"), ("train2017", "test2017")],
)
def test_splits_of_many_names_are_splits(tmp_path: Path, train: str, test: str) -> None:
    classes(tmp_path / train, "cat", "dog", each=6)
    classes(tmp_path / test, "cat", "dog", seed=500)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert {sample.path.relative_to(tmp_path).parts[0] for sample in folder.test} == {test}


def test_of_two_folders_for_one_split_the_one_with_classes_is_taken(tmp_path: Path) -> None:
    classes(tmp_path / "train", "cat", "dog", each=6)
    classes(tmp_path / "test", "cat", "dog", seed=500)
    fill(tmp_path / "test1", 3, 900)
    folder = scan(tmp_path)
    assert len(folder.test) == 8
    assert any("test1" in note for note in folder.notes)


@pytest.mark.parametrize(
    ("layout", "answers"),
    [
        ({"labelled": "cat dog", "unlabeled": ""}, ("labelled",)),
        ({"one": "cat dog", "two": "cat dog"}, ("cat, dog", "one", "two")),
        ({"animals": "cat dog", "vehicles": "bus car"}, ("bus, car, cat, dog", "animals", "vehicles")),
        ({"train": "cat dog", "more": "cat dog"}, ("cat, dog", "more")),
        ({"train": "steam diesel", "bus": "", "car": ""}, ("bus", "diesel")),
        ({"cat": "", "dog": "", "test": "cat dog"}, ("test",)),
        ({"photos": "cat dog", "leftovers": ""}, ("photos",)),
    ],
)
def test_a_folder_that_can_be_read_in_two_ways_is_a_question(
    tmp_path: Path, layout: dict[str, str], answers: tuple[str, ...]
) -> None:
    for number, (name, inner) in enumerate(layout.items()):
        fill(tmp_path / name, 4, 1000 * number) if not inner else classes(
            tmp_path / name, *inner.split(), seed=1000 * number
        )
    with pytest.raises(UsageError) as caught:
        scan(tmp_path)
    assert "hat are the classes" in str(caught.value) or "Which are the classes" in str(caught.value)
    assert all(answer in str(caught.value) for answer in answers)


def test_folders_inside_one_class_of_many_are_read_and_noted(tmp_path: Path) -> None:
    classes(tmp_path, "bus", "car")
    classes(tmp_path / "ship", "sail", "steam", seed=700)
    folder = scan(tmp_path)
    assert folder.class_counts("train")[2] + folder.class_counts("val")[2] + folder.class_counts("test")[2] == 8
    assert any("ship holds only folders (sail, steam)" in note for note in folder.notes)


def test_one_folder_of_images_in_each_class_is_read(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog")):
        fill(tmp_path / name / "images", 4, 100 * number)
    assert scan(tmp_path).classes == ("cat", "dog")


def test_a_class_named_like_a_split_is_noted(tmp_path: Path) -> None:
    classes(tmp_path, "bus", "car", "test")
    folder = scan(tmp_path)
    assert folder.classes == ("bus", "car", "test")
    assert any("test is read as a class" in note for note in folder.notes)


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", ".thumbnails", "__MACOSX", ".git", "$RECYCLE.BIN", "lost+found"]
)
@pytest.mark.parametrize("split", [True, False])
def test_folders_of_systems_are_neither_classes_nor_images(tmp_path: Path, name: str, split: bool) -> None:
    root = classes(tmp_path / "train" if split else tmp_path, "cat", "dog")
    places = {tmp_path / name, root / name, root / "cat" / name, root / "cat" / name / "a.png"}
    for number, place in enumerate(sorted(places)):
        fill(place / "inner", 3, 5000 + 10 * number)
        fill(place, 3, 6000 + 10 * number)
    folder = scan(tmp_path)
    assert folder.classes == ("cat", "dog")
    assert folder.report.used == 8
    assert any("hidden or system files" in note and name in note for note in folder.notes)


@given(st.text(min_size=1).filter(lambda name: "/" not in name and "\0" not in name))
def test_names_are_shown_without_what_a_terminal_or_utf_8_cannot_take(name: str) -> None:
    text = shown(name)
    text.encode("utf-8")
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)
    assert fault_of(name) or text == name


@pytest.mark.parametrize(
    "name", [b"caf\xe9", b"a\nb", b"\x1b[31mred", b" ", "\u3000".encode(), b"x\x7f", "a\u202eb".encode(), b"\xff\xfe"]
)
def test_a_class_name_that_cannot_be_stored_is_refused_before_any_image_is_read(tmp_path: Path, name: bytes) -> None:
    classes(tmp_path, "cat", "dog")
    fill(tmp_path / os.fsdecode(name), 4, 700)
    seen: list[int] = []
    with pytest.raises(UsageError, match="cannot be a class") as caught:
        scan(tmp_path, progress=lambda done, _: seen.append(done))
    assert not seen
    str(caught.value).encode("utf-8")
    assert "\n" not in str(caught.value)


def test_a_file_name_that_is_no_utf_8_is_read_and_can_be_printed(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    found = scan(tmp_path).report.of(Kind.EMPTY_FILE)
    assert [finding.path for finding in found] == ["cat/caf\\xe9.png"]


@pytest.mark.parametrize(
    ("one", "other"), [("Cat", "cat"), ("café", unicodedata.normalize("NFD", "café")), ("dog ", "dog")]
)
def test_names_that_look_alike_are_noted(tmp_path: Path, one: str, other: str) -> None:
    classes(tmp_path, one, other, "bird")
    assert folded(one) == folded(other)
    assert any("differ only in case" in note for note in scan(tmp_path).notes)


def test_splits_whose_class_names_look_alike_are_refused_with_the_reason(tmp_path: Path) -> None:
    classes(tmp_path / "train", "Cat", "dog")
    classes(tmp_path / "val", "cat", "dog", seed=700)
    with pytest.raises(UsageError, match="differ only in case"):
        scan(tmp_path)


@pytest.mark.parametrize("target", ["/", "..", "../..", "."])
@pytest.mark.parametrize("follow", [True, False])
def test_links_to_what_contains_the_folder_have_an_end(tmp_path: Path, target: str, follow: bool) -> None:
    root = classes(tmp_path / "data", "cat", "dog")
    for place in (root / "root", root / "cat" / "root"):
        place.symlink_to(target, target_is_directory=True)
    folder = scan(DataFolder(root, follow_links=follow))
    assert folder.classes == ("cat", "dog")
    assert folder.report.used == 8
    assert {finding.path for finding in folder.report.of(Kind.LINK_LOOP)} == {"root", "cat/root"}


def test_a_folder_whose_classes_are_all_links_says_how_to_read_them(tmp_path: Path) -> None:
    classes(tmp_path / "far", "cat", "dog")
    (tmp_path / "data").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "far" / name, target_is_directory=True)
    with pytest.raises(UsageError, match="--follow-links"):
        scan(tmp_path / "data")
    assert scan(DataFolder(tmp_path / "data", follow_links=True)).report.used == 8


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", "cat", "dog")
    fill(root / "cat" / "more", 3, 900)
    (root / "dog" / "more").symlink_to("../cat/more", target_is_directory=True)
    assert scan(root).report.used == 14
