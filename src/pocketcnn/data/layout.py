"""Detection of the layout of a data folder, and the list of its image files, without opening them.

    DATA/CLASS/*                             not split
    DATA/train/CLASS/*  DATA/val/CLASS/*  [DATA/test/CLASS/*]   split, partly or completely

Folders inside a class belong to the class. Where a layout can be read in two ways, the user is asked (`split_folders`). Links
inside the folder are followed, each real folder once per class, so loops end; links out of it only on request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocketcnn.data.folder_names import is_hidden, shown
from pocketcnn.data.images import SUFFIXES, UNSUPPORTED_SUFFIXES, why_unsupported
from pocketcnn.data.links import Links, identity, is_file, is_folder
from pocketcnn.data.report import Finding, Kind
from pocketcnn.data.split_folders import LAYOUTS as LAYOUTS
from pocketcnn.data.split_folders import SPLITS, check_classes, find_splits, has_images
from pocketcnn.errors import UsageError

WHOLE = ""  # the split name of a folder that is not split
NAMES_SHOWN = 5


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


def list_images(root: Path, *, follow_links: bool = False) -> Listing:
    """Detect the layout of `root` and list its files by split and class, sorted.

    Args:
        root: the data folder.
        follow_links: also read what links that lead out of `root` point to.

    Raises:
        UsageError: `root` is missing, not a folder or unreadable, has splits without a train folder, or can be read in two
            ways.
    """
    links = Links(root, follow_links)
    return _Lister(root, _entries(root), links).listing()


class _Lister:
    def __init__(self, root: Path, entries: list[Path], links: Links) -> None:
        self._root = root
        self._links = links
        self._result = Listing()
        self._folders = self._enter(entries)

    def listing(self) -> Listing:
        splits = find_splits(self._root, self._folders, self._links)
        if splits:
            self._list_splits(splits)
        else:
            self._result.notes += check_classes(self._root, self._folders, self._links)
            self._list_classes(WHOLE, self._root, self._folders)
        self._result.notes += self._notes()
        return self._result

    def _enter(self, entries: list[Path]) -> list[Path]:
        """The folders among the entries of a folder of classes or splits; all other entries become findings."""
        folders = []
        for path in entries:
            if is_hidden(path.name):
                self._add(path, Kind.HIDDEN)
            elif self._links.lead_out(path):
                self._add(path, Kind.LINK_OUT)
            elif self._links.encloses(path):
                self._add(path, Kind.LINK_LOOP)
            elif is_folder(path):
                folders.append(path)
            else:
                is_image = path.suffix.lower() in SUFFIXES | UNSUPPORTED_SUFFIXES
                self._add(path, Kind.OUTSIDE_CLASS if is_image else Kind.NOT_AN_IMAGE)
        return folders

    def _list_splits(self, splits: dict[str, Path]) -> None:
        for folder in self._folders:
            if folder not in splits.values():
                self._add(folder, Kind.OUTSIDE_SPLIT)
                if has_images(folder):
                    self._result.notes.append(f"{shown(str(folder))} lies beside the splits: its images are not used.")
        for split in SPLITS:
            if split in splits:
                self._list_classes(split, splits[split], self._enter(_entries(splits[split])))
                if split not in self._result.classes:
                    self._result.notes.append(
                        f"{shown(str(splits[split]))} has no class folders with images: not used."
                    )

    def _notes(self) -> Iterator[str]:
        hidden, out = ([f for f in self._result.findings if f.kind is kind] for kind in (Kind.HIDDEN, Kind.LINK_OUT))
        if hidden:
            names = _listed(sorted({Path(found.path).name for found in hidden}))
            yield f"{len(hidden)} hidden or system files and folders are left out ({names})."
        if out:
            yield (
                f"{len(out)} links lead out of the folder and are not followed ({_listed([f.path for f in out])}). "
                "To read them: --follow-links."
            )

    def _list_classes(self, split: str, parent: Path, folders: list[Path]) -> None:
        above = {identity(self._root), identity(parent)}
        for folder in folders:
            if identity(folder) in above:
                self._add(folder, Kind.LINK_LOOP)
                continue
            found = [
                Candidate(path, path.relative_to(self._root).as_posix(), split, folder.name)
                for path in self._walk(folder, above)
            ]
            self._result.candidates += found
            if not found:
                self._result.notes.append(f"{shown(str(folder))} holds no images: not a class.")

    def _walk(self, folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
        """The image files under `folder`, sorted; all other entries become findings."""
        seen = set(above)
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            here = identity(current)
            if here in seen or self._links.encloses(current):
                self._add(current, Kind.LINK_LOOP)
                continue
            seen.add(here)
            try:
                entries = sorted(current.iterdir())
            except OSError as error:
                self._add(current, Kind.UNREADABLE, error.strerror or str(error))
                continue
            waiting += reversed(
                [
                    path
                    for path in entries
                    if is_folder(path) and not is_hidden(path.name) and not self._links.lead_out(path)
                ]
            )
            yield from (path for path in entries if self._is_candidate(path))

    def _is_candidate(self, path: Path) -> bool:
        """Whether the entry is a candidate; if not, it is a folder (visited separately) or becomes a finding."""
        if is_hidden(path.name):
            self._add(path, Kind.HIDDEN)
        elif self._links.lead_out(path):
            self._add(path, Kind.LINK_OUT)
        elif is_folder(path):
            pass
        elif why := why_unsupported(path):
            self._add(path, Kind.UNSUPPORTED, why)
        elif path.suffix.lower() not in SUFFIXES:
            self._add(path, Kind.NOT_AN_IMAGE)
        elif not is_file(path):  # a broken link, a pipe, a socket
            self._add(path, Kind.UNREADABLE, "broken link" if path.is_symlink() else "not a regular file")
        else:
            return True
        return False

    def _add(self, path: Path, kind: Kind, detail: str = "") -> None:
        self._result.findings.append(Finding.of(path.relative_to(self._root).as_posix(), kind, detail))


def _entries(folder: Path) -> list[Path]:
    """The entries of `folder`, sorted by name."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError as error:
        raise UsageError(f"There is no folder {shown(str(folder))}. Expected: {LAYOUTS}.") from error
    except NotADirectoryError as error:
        raise UsageError(f"{shown(str(folder))} is a file, not a folder of images. Expected: {LAYOUTS}.") from error
    except OSError as error:
        raise UsageError(f"Cannot read the folder {shown(str(folder))}: {error.strerror}.") from error


def _listed(names: Sequence[Path | str]) -> str:
    plain = [name if isinstance(name, str) else shown(name.name) for name in names]
    more = len(plain) - NAMES_SHOWN
    return ", ".join(plain[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
