"""Which folders of a data folder are its splits, and which its classes; a question where both can be meant."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketcnn.data.folder_names import UNLABELLED, is_hidden, shown, split_of
from pocketcnn.data.images import SUFFIXES
from pocketcnn.data.links import Links, is_folder
from pocketcnn.errors import UsageError

SPLITS = ("train", "val", "test")
LAYOUTS = "DATA/CLASS/*.png, or DATA/train/CLASS/*.png with DATA/val/CLASS/*.png and, if wanted, DATA/test/CLASS/*.png"
NAMES_SHOWN = 5


@dataclass(frozen=True)
class _Folder:
    """A folder beside others: what its name says, whether images lie in it, and its folders with images."""

    path: Path
    split: str
    flat: bool
    inner: tuple[str, ...]

    @property
    def name(self) -> str:
        return shown(self.path.name)

    @property
    def nested(self) -> bool:
        """Whether it has images, all of them in folders."""
        return bool(self.inner) and not self.flat


def find_splits(root: Path, folders: Sequence[Path], links: Links) -> dict[str, Path]:
    """Split -> its folder; empty if the folders of `root` are classes.

    A class may be named "train": then images lie in it, and no other folder is named like a split.

    Raises:
        UsageError: splits without a train folder, two folders for one split, or a layout that can be read in two ways.
    """
    seen = [_look(folder, links) for folder in folders]
    named: dict[str, list[_Folder]] = {}
    for folder in seen:
        if folder.split in SPLITS:
            named.setdefault(folder.split, []).append(folder)
    others = [folder for folder in seen if not folder.split]
    if "train" not in named:
        if named and not others:
            raise UsageError(
                f"{shown(str(root))} has {_names(f for found in named.values() for f in found)} but no train folder. "
                f"Expected: {LAYOUTS}."
            )
        return {}
    trains = [folder for folder in named["train"] if folder.inner]
    if not trains:
        return _no_class_folders(named, others, seen)
    beside = len(named) > 1 or any(folder.split == UNLABELLED for folder in seen)
    train = _the_one("train", named["train"])
    if not beside and train.flat and any(folder.flat or folder.inner for folder in others):
        return {}  # a class named "train" with folders of its own
    if not beside:
        _ask_about_train(root, train, others)
    chosen = {split: _the_one(split, found) for split, found in named.items()}
    return {split: folder.path for split, folder in chosen.items() if folder.inner or not _is_numbered(folder)}


def check_classes(root: Path, folders: Sequence[Path], links: Links) -> list[str]:
    """Notes on folders that are read as classes and may not be meant so.

    Raises:
        UsageError: the images of every class, or of one beside a folder named like a split, lie in folders that may be the
            classes.
    """
    seen = [folder for folder in (_look(path, links) for path in folders) if folder.flat or folder.inner]
    nested = [folder for folder in seen if folder.nested and len(folder.inner) > 1]
    flat = [folder for folder in seen if folder.flat]
    names = {folder.name for folder in flat}
    if len(seen) > 1 and nested:
        like_splits = any(folder.split for folder in seen)
        repeated = any(names & set(folder.inner) for folder in nested)
        if len(flat) < 2 or like_splits or repeated:
            _ask(root, nested, seen)
    return [*_notes_on_nested(seen), *_notes_on_names(seen)]


def _look(folder: Path, links: Links) -> _Folder:
    try:
        entries = [path for path in folder.iterdir() if not is_hidden(path.name) and not links.lead_out(path)]
    except OSError:
        entries = []
    rest = [path for path in entries if path.suffix.lower() not in SUFFIXES]  # most are images: no look at each
    inner = [path.name for path in rest if is_folder(path) and not links.encloses(path) and has_images(path)]
    flat = len(rest) < len(entries)
    return _Folder(folder, split_of(folder.name), flat, tuple(sorted(inner)))


def _the_one(split: str, found: list[_Folder]) -> _Folder:
    """The folder of a split: the only one with class folders."""
    filled = [folder for folder in found if folder.inner] or found
    if len(filled) > 1:
        raise UsageError(
            f"{shown(str(filled[0].path))} and {shown(str(filled[1].path))} both look like the {split} split. "
            "Keep one of them."
        )
    return filled[0]


def _no_class_folders(
    named: dict[str, list[_Folder]], others: Sequence[_Folder], seen: Sequence[_Folder]
) -> dict[str, Path]:
    """What a train folder without class folders means: a class, if there are others and nothing else looks like a split."""
    train = named["train"][0]
    if not others or len(named) > 1:
        raise UsageError(
            f"{shown(str(train.path))} contains no class folders, beside {_names(f for f in seen if f is not train)}. "
            f"Expected: {LAYOUTS}."
            if len(seen) > 1
            else f"{shown(str(train.path))} contains no class folders. Expected: {LAYOUTS}."
        )
    return {}


def _is_numbered(folder: _Folder) -> bool:
    """Whether a folder such as "test1" is a part of a split, which without classes in it has no labels."""
    return any(map(str.isdigit, folder.path.name))


def _ask_about_train(root: Path, train: _Folder, others: Sequence[_Folder]) -> None:
    """Ask where folders beside train may be classes or splits; one flat folder may not: it has no labels."""
    for folder in others:
        if len(set(folder.inner) & set(train.inner)) > 1:
            raise UsageError(
                f"What are the classes in {shown(str(root))}? {folder.name} holds the same folders as {train.name} "
                f"({_listed(train.inner)}), but its name is not that of a split. Rename it to val or test to use it, or move it "
                "out of the data folder."
            )
    filled = [folder for folder in others if folder.flat or folder.inner]
    if len(filled) > 1 or any(folder.inner for folder in filled):
        raise UsageError(
            f"What are the classes in {shown(str(root))}? If {_names([train, *filled])} are, put the images of {train.name} "
            f"directly into it. If {_listed(train.inner)} are, name the folders beside {train.name} val and test, or move "
            "them away."
        )


def _ask(root: Path, nested: Sequence[_Folder], seen: Sequence[_Folder]) -> None:
    inner = sorted({name for folder in nested for name in folder.inner})
    first = nested[0]
    choices = [
        f"{_names(seen)}: put the images of {_names(nested)} directly into them, without folders",
        f"{_listed(inner)}, split in {_names(nested)}: name these train, val and test"
        if len(nested) > 1
        else f"{_listed(inner)}: give the path {shown(str(first.path))}",
    ]
    if len(nested) > 1:
        choices.append(f"{_listed(first.inner)} only: give the path {shown(str(first.path))}")
    questions = " ".join(f"({number}) {choice}." for number, choice in enumerate(choices, 1))
    raise UsageError(f"{shown(str(root))} can be read in several ways. Which are the classes? {questions}")


def _notes_on_nested(seen: Sequence[_Folder]) -> Iterator[str]:
    for folder in seen:
        if folder.nested and len(folder.inner) > 1:
            yield f"{folder.name} holds only folders ({_listed(folder.inner)}): all their images are of the class {folder.name}."


def _notes_on_names(seen: Sequence[_Folder]) -> Iterator[str]:
    for folder in seen:
        if folder.split and len(seen) > 1:
            yield (
                f"{folder.name} is read as a class, although it is named like "
                f"{'images without labels' if folder.split == UNLABELLED else 'a split'}. If it is none, move it away."
            )


def has_images(folder: Path) -> bool:
    """Whether there are images in the folder or in folders inside it."""
    for _, folders, names in os.walk(folder):  # does not follow links
        folders[:] = [name for name in folders if not is_hidden(name)]
        if any(Path(name).suffix.lower() in SUFFIXES for name in names if not is_hidden(name)):
            return True
    return folder.is_symlink() and any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _names(folders: Iterable[_Folder]) -> str:
    return " and ".join(sorted(folder.name for folder in folders))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(map(shown, names[:NAMES_SHOWN])) + (f" and {more} more" if more > 0 else "")
