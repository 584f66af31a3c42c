"""Detection of the layout of a data folder, and the list of its image files, without opening them.

    DATA/CLASS/*                             not split
    DATA/train/CLASS/*  DATA/val/CLASS/*  [DATA/test/CLASS/*]   split, partly or completely

Names of splits are case-insensitive, with the usual variants ("validation", "training_set", "test-images"), see
`folder_names`. Folders inside a class belong to the class. Links are followed, each real folder once per class, so loops end.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pocketcnn.data.folder_names import SPLIT_NAMES, is_hidden, is_unlabelled, split_of
from pocketcnn.data.images import SUFFIXES, UNSUPPORTED_SUFFIXES
from pocketcnn.data.report import Finding, Kind
from pocketcnn.errors import UsageError

WHOLE = ""  # the split name of a folder that is not split
LAYOUTS = "DATA/CLASS/*.png, or DATA/train/CLASS/*.png with DATA/val/CLASS/*.png and, if wanted, DATA/test/CLASS/*.png"


@dataclass(frozen=True)
class Candidate:
    """A file with the name suffix of an image."""

    path: Path
    key: str  # relative to the data folder, with forward slashes
    split: str  # "train", "val", "test" or WHOLE
    class_name: str


@dataclass
class Listing:
    """The contents of a data folder: image files by split and class, all other files, and notes for the user."""

    candidates: list[Candidate] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> dict[str, set[str]]:
        """Split -> its class names, for splits with image files."""
        found: dict[str, set[str]] = {}
        for candidate in self.candidates:
            found.setdefault(candidate.split, set()).add(candidate.class_name)
        return found


def list_images(root: Path) -> Listing:
    """Detect the layout of `root` and list its files by split and class, sorted.

    Raises:
        UsageError: `root` is missing, not a folder or unreadable, or has splits without a train folder.
    """
    return _Lister(root, _visible(root)).listing()


class _Lister:
    def __init__(self, root: Path, folders: list[Path]) -> None:
        self._root = root
        self._folders = folders
        self._result = Listing()
        self._nested: dict[str, set[str]] = {}  # class that holds only folders -> their names

    def listing(self) -> Listing:
        self._sort_out_strays(self._root)
        split_folders = self._split_folders()
        if split_folders:
            self._list_splits(split_folders)
        else:
            self._list_classes(WHOLE, self._root, self._folders)
            self._result.notes += _doubts(self._root, self._nested)
        return self._result

    def _split_folders(self) -> dict[str, Path]:
        """Split -> its folder; empty if the folders of `root` are classes.

        A class may be named "train": then there are other classes beside it.
        """
        found: dict[str, Path] = {}
        for folder in self._folders:
            split = split_of(folder.name)
            if split in found:
                raise UsageError(f"{found[split]} and {folder} both look like the {split} split. Keep one of them.")
            if split:
                found[split] = folder
        others = [folder for folder in self._folders if not split_of(folder.name)]
        if "train" not in found:
            if found and not others:
                raise UsageError(f"{self._root} has {' and '.join(found)} but no train folder. Expected: {LAYOUTS}.")
            return {}
        train = found["train"]
        is_split = bool(_visible(train)) and (len(found) > 1 or all(_may_lie_beside(train, each) for each in others))
        if not is_split and not others:
            raise UsageError(f"{train} contains no class folders. Expected: {LAYOUTS}.")
        return found if is_split else {}

    def _list_splits(self, split_folders: dict[str, Path]) -> None:
        for folder in self._folders:
            if folder not in split_folders.values():
                self._add(folder, Kind.OUTSIDE_SPLIT)
                if _has_images(folder):
                    self._result.notes.append(f"{folder} lies beside the splits: its images are not used.")
        for split in SPLIT_NAMES:
            if split in split_folders:
                self._sort_out_strays(split_folders[split])
                self._list_classes(split, split_folders[split], _visible(split_folders[split]))
                if split not in self._result.classes:
                    self._result.notes.append(f"{split_folders[split]} has no class folders with images: not used.")

    def _list_classes(self, split: str, parent: Path, folders: list[Path]) -> None:
        above = {_identity(self._root), _identity(parent)}
        for folder in folders:
            if _identity(folder) in above:
                self._add(folder, Kind.LINK_LOOP)
                continue
            found = [
                Candidate(path, path.relative_to(self._root).as_posix(), split, folder.name)
                for path in self._walk(folder, above)
            ]
            self._result.candidates += found
            if found and not any(path.parent == folder for path in (self._root / each.key for each in found)):
                self._nested[folder.name] = {(self._root / each.key).relative_to(folder).parts[0] for each in found}
            if not found:
                self._result.notes.append(f"{folder} holds no images: not a class.")

    def _walk(self, folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
        """The image files under `folder`, sorted; all other entries become findings."""
        seen = set(above)
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            identity = _identity(current)
            if identity in seen:
                self._add(current, Kind.LINK_LOOP)
                continue
            seen.add(identity)
            try:
                entries = sorted(current.iterdir())
            except OSError as error:
                self._add(current, Kind.UNREADABLE, error.strerror or str(error))
                continue
            waiting += reversed([path for path in entries if _is_folder(path) and not is_hidden(path.name)])
            yield from (path for path in entries if self._is_candidate(path))

    def _is_candidate(self, path: Path) -> bool:
        """Whether the entry is a candidate; if not, it is a folder (visited separately) or becomes a finding."""
        if is_hidden(path.name):
            self._add(path, Kind.HIDDEN)
        elif _is_folder(path):
            pass
        elif path.suffix.lower() in UNSUPPORTED_SUFFIXES:
            self._add(path, Kind.UNSUPPORTED, path.suffix.lower())
        elif path.suffix.lower() not in SUFFIXES:
            self._add(path, Kind.NOT_AN_IMAGE)
        elif not _is_file(path):  # a broken link, a pipe, a socket
            self._add(path, Kind.UNREADABLE, "broken link" if path.is_symlink() else "not a regular file")
        else:
            return True
        return False

    def _sort_out_strays(self, parent: Path) -> None:
        """Record the files beside the class folders as findings."""
        for path in sorted(parent.iterdir()):
            if is_hidden(path.name):
                self._add(path, Kind.HIDDEN)
            elif not _is_folder(path):
                is_image = path.suffix.lower() in SUFFIXES | UNSUPPORTED_SUFFIXES
                self._add(path, Kind.OUTSIDE_CLASS if is_image else Kind.NOT_AN_IMAGE)

    def _add(self, path: Path, kind: Kind, detail: str = "") -> None:
        self._result.findings.append(Finding.of(path.relative_to(self._root).as_posix(), kind, detail))


def _visible(folder: Path) -> list[Path]:
    """The folders in `folder` that are not hidden, sorted by name."""
    try:
        return sorted(path for path in folder.iterdir() if _is_folder(path) and not is_hidden(path.name))
    except FileNotFoundError as error:
        raise UsageError(f"There is no folder {folder}. Expected: {LAYOUTS}.") from error
    except NotADirectoryError as error:
        raise UsageError(f"{folder} is a file, not a folder of images. Expected: {LAYOUTS}.") from error
    except OSError as error:
        raise UsageError(f"Cannot read the folder {folder}: {error.strerror}.") from error


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _may_lie_beside(train: Path, other: Path) -> bool:
    """Whether `other`, whose name denotes no split, may lie beside a folder `train` of classes, rather than both are classes.

    Raises:
        UsageError: it holds folders of the same names, so that it looks like a split of another name.
    """
    if not _has_images(other) or is_unlabelled(other.name):
        return True
    classes = {folder.name for folder in _visible(train) if _has_images(folder)}
    if len(classes) < 2 or _has_images_directly(train):
        return False
    if len(classes & {folder.name for folder in _visible(other)}) > 1:
        raise UsageError(
            f"{other} holds the same folders as {train}, but its name is not that of a split. Rename it to val or test to use "
            "it, or move it out of the data folder."
        )
    return not _visible(other)


def _doubts(root: Path, nested: Mapping[str, set[str]]) -> Iterator[str]:
    """Notes on classes that hold only folders, which may be splits or groups of classes."""
    for name, folders in nested.items():
        like = [other for other, theirs in nested.items() if other != name and len(theirs & folders) > 1]
        shown = ", ".join(sorted(folders)[:5])
        if split_of(name) or is_unlabelled(name):
            yield f"{root / name} is used as a class although it has the name of a split and holds only folders ({shown})."
        elif like and name < min(like):
            yield (
                f"{name} and {', '.join(like)} are used as classes, but hold folders of the same names ({shown}). If those are "
                "the classes, name the outer folders train, val and test."
            )


def _has_images_directly(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir() if not is_hidden(path.name))


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in _files_below(folder))


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):  # does not follow links
        yield from (Path(parent) / name for name in names if not is_hidden(name))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return (status.st_dev, status.st_ino)
