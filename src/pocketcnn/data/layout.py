"""Detection of the layout of a data folder, and the list of its image files, without opening them.

    DATA/CLASS/*                             not split
    DATA/train/CLASS/*  DATA/val/CLASS/*  [DATA/test/CLASS/*]   split, partly or completely

Names of splits are case-insensitive, with the usual variants ("valid", "validation", "training", "testing"). Folders inside
a class belong to the class. Links are followed, each real folder once per class, so loops end.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pocketcnn.data.images import SUFFIXES, UNSUPPORTED_SUFFIXES
from pocketcnn.data.report import Finding, Kind
from pocketcnn.errors import UsageError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
WHOLE = ""  # the split name of a folder that is not split
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "lost+found"})
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

    def listing(self) -> Listing:
        self._sort_out_strays(self._root)
        split_folders = self._split_folders()
        if split_folders:
            self._list_splits(split_folders)
        else:
            self._list_classes(WHOLE, self._root, self._folders)
        return self._result

    def _split_folders(self) -> dict[str, Path]:
        """Split -> its folder; empty if the folders of `root` are classes.

        A class may be named "train": then there are other classes beside it.
        """
        found: dict[str, Path] = {}
        for folder in self._folders:
            split = _split_of(folder.name)
            if split in found:
                raise UsageError(f"{found[split]} and {folder} both look like the {split} split. Keep one of them.")
            if split:
                found[split] = folder
        others = [folder for folder in self._folders if not _split_of(folder.name)]
        if "train" not in found:
            if found and not others:
                raise UsageError(f"{self._root} has {' and '.join(found)} but no train folder. Expected: {LAYOUTS}.")
            return {}
        is_split = bool(_visible(found["train"])) and (len(found) > 1 or not any(map(_has_images, others)))
        if not is_split and not others:
            raise UsageError(f"{found['train']} contains no class folders. Expected: {LAYOUTS}.")
        return found if is_split else {}

    def _list_splits(self, split_folders: dict[str, Path]) -> None:
        for folder in self._folders:
            if folder not in split_folders.values():
                self._add(folder, Kind.OUTSIDE_SPLIT)
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


def is_hidden(name: str) -> bool:
    """Whether a file is hidden or a system file."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES


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


def _split_of(name: str) -> str:
    """The split that a folder name denotes, or an empty string."""
    return next((split for split, names in SPLIT_NAMES.items() if name.lower() in names), "")


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in _files_below(folder))


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):  # does not follow links
        yield from (Path(parent) / name for name in names if not is_hidden(name))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return (status.st_dev, status.st_ino)
