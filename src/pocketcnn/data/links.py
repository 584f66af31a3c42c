"""Links in a data folder: which lead out of it, and which would never end."""

from dataclasses import dataclass, field
from pathlib import Path

from pocketcnn.data.folder_names import is_hidden
from pocketcnn.data.images import SUFFIXES


@dataclass
class Links:
    """The rule for the links of the folder `root`: those that lead out of it are followed only if `follow` is set."""

    root: Path
    follow: bool = False
    _real: Path = field(init=False)

    def __post_init__(self) -> None:
        self._real = self.root.resolve()

    def lead_out(self, path: Path) -> bool:
        """Whether `path` is a link out of the folder that is not to be followed. Links to nowhere are not."""
        if self.follow or not path.is_symlink():
            return False
        try:
            return not path.resolve(strict=True).is_relative_to(self._real) and not self.encloses(path)
        except (OSError, RuntimeError):  # broken, a loop, or no permission
            return False

    def encloses(self, folder: Path) -> bool:
        """Whether a link leads to the data folder itself or to a folder that contains it; it would have no end."""
        try:
            return folder.is_symlink() and self._real.is_relative_to(folder.resolve(strict=True))
        except (OSError, RuntimeError):
            return False


def images_in(folder: Path) -> list[Path]:
    """The files in `folder`, and in folders inside it, that have the name of an image, sorted; without hidden and system ones."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not any(map(is_hidden, path.relative_to(folder).parts)) and is_file(path)
    )


def is_folder(path: Path) -> bool:
    """Whether it is a folder or a link to one; False without permission."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether it is a regular file or a link to one; False without permission."""
    try:
        return path.is_file()
    except OSError:
        return False


def identity(folder: Path) -> tuple[int, int]:
    """What is the same for all paths to one folder."""
    status = folder.stat()
    return (status.st_dev, status.st_ino)
