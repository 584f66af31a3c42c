"""What the name of a folder says: a split, unlabelled images, a system folder; and whether a class name can be used."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from pocketcnn.errors import UsageError

SPLIT_NAMES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "train": frozenset({"train", "training", "trn"}),
        "val": frozenset({"val", "valid", "validate", "validation", "dev", "development"}),
        "test": frozenset({"test", "testing", "tst", "eval", "evaluation", "holdout"}),
    }
)
"""The names of the splits, without fillers: ``training_set``, ``train-images`` and ``Train Data`` are train."""

UNLABELLED_NAMES = frozenset(
    {"unlabeled", "unlabelled", "unlabel", "unsup", "unsupervised", "unknown", "extra", "unannotated"}
)
"""Names of folders of images without labels."""

_FILLERS = frozenset(
    {"set", "sets", "image", "images", "img", "imgs", "data", "dataset", "split", "folder", "photos", "pictures"}
)

SYSTEM_NAMES = frozenset(
    {
        "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",  # Windows, macOS
        "__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found",
        "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recycly", "@__thumb",  # Synology, QNAP
    }
)  # fmt: skip
"""Files and folders of operating systems and file servers, in lower case. `@eaDir` holds thumbnails of every image."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden or belongs to the operating system."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def split_of(name: str) -> str:
    """The split that the name of a folder denotes, or an empty string."""
    word = re.sub(r"(?<=[a-z])(19|20)\d\d$", "", _word(name))  # train2017
    return next((split for split, names in SPLIT_NAMES.items() if word in names), "")


def is_unlabelled(name: str) -> bool:
    """Whether the name denotes images without labels, also as further parts of a split: ``unlabeled``, ``test1``."""
    word = _word(name)
    return word in UNLABELLED_NAMES or bool(split_of(word.rstrip("0123456789")))


def _word(name: str) -> str:
    """The name in lower case without fillers and marks: ``Training_Set`` and ``trainset`` become ``training`` and ``train``."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in _FILLERS]
    if len(words) != 1:
        return "".join(words)
    (word,) = words
    shorter = next((word.removesuffix(filler) for filler in sorted(_FILLERS) if word.endswith(filler)), word)
    return shorter if any(shorter in names for names in SPLIT_NAMES.values()) else word


def check_class_names(names: Iterable[str]) -> None:
    """Check that class names can be written to files and printed.

    Raises:
        UsageError: a name is not valid text, is blank, or has control characters.
    """
    for name in names:
        shown = name.encode("utf-8", "backslashreplace").decode()
        if any(unicodedata.category(letter) == "Cs" for letter in name):
            raise UsageError(
                f'The name of the class folder "{shown}" is not valid UTF-8, so that it cannot be written to a model file. '
                "Rename the folder."
            )
        if any(unicodedata.category(letter) == "Cc" for letter in name) or not name.strip():
            raise UsageError(
                f"The class folder {name!r} has a blank name or control characters in it. Rename the folder."
            )


def twins(names: Iterable[str]) -> Iterator[Sequence[str]]:
    """Groups of class names that look alike: they differ in case, spaces at the ends, or Unicode normalization only."""
    for _, group in groupby(sorted(names, key=_alike), key=_alike):
        if len(alike := sorted(group)) > 1:
            yield alike


def _alike(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
