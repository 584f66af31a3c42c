"""What the name of a folder or file says: a split, images without labels, or something that a system left behind."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby

from pocketcnn.errors import UsageError

SPLIT_WORDS = {
    "train": frozenset({"train", "training", "trn", "learn", "learning"}),
    "val": frozenset({"val", "valid", "validation", "validate", "validating", "dev", "development"}),
    "test": frozenset({"test", "testing", "tst", "eval", "evaluation", "evaluate", "holdout"}),
    "unlabelled": frozenset(
        {
            "unlabeled",
            "unlabelled",
            "nolabel",
            "nolabels",
            "unannotated",
            "extra",
            "submission",
            "unsup",
            "unsupervised",
        }
    ),
}
UNLABELLED = "unlabelled"
_FILLERS = frozenset(
    {
        *("set", "sets", "split", "splits", "data", "dataset", "image", "images", "img", "imgs", "photo", "photos"),
        *("picture", "pictures", "pics", "folder", "dir", "files", "sample", "samples", "jpg", "jpeg", "png"),
    }
)
SYSTEM_NAMES = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler", "recycled"),
        *("system volume information", "found.000", "__macosx", "icon\r", "network trash folder", "temporary items"),
        *("lost+found", "lost.dir", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),
        *("@sharebin", "@__thumb", "thumbnails.db", "picasa.ini", "__pycache__", "cvs", "_vti_cnf", "backups.backupdb"),
    }
)
_SYSTEM_ENDS = ("@synoresource", "@synoeastream")


def split_of(name: str) -> str:
    """``train``, ``val``, ``test`` or ``unlabelled`` if the folder name denotes it, else an empty string.

    Case, separators, numbers and words such as "set" or "images" do not matter: ``Training-Set``, ``imagesTest``, ``test1``.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    words = re.findall(r"[^\W\d_]+", spaced.lower())
    found = {"".join(_without_fillers(words)), "".join(_without_fillers(["".join(words)]))}
    return next((split for split, known in SPLIT_WORDS.items() if found & known), "")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or was left by an operating system, a file server or a tool."""
    lower = name.lower()
    return lower.startswith((".", "~$")) or lower in SYSTEM_NAMES or lower.endswith(_SYSTEM_ENDS)


def shown(name: str) -> str:
    """The name as it can be printed and stored: bytes that are no UTF-8, and control characters, as ``\\xe9``."""
    text = name.encode("utf-8", "surrogateescape" if not _lone_surrogates(name) else "backslashreplace")
    return "".join(
        char if not _is_control(char) else char.encode("unicode_escape").decode()
        for char in text.decode("utf-8", "backslashreplace")
    )


def fault_of(name: str) -> str:
    """Why a folder name cannot be the name of a class, or an empty string."""
    if not name.strip():
        return "it has a blank name or control characters in it"
    if any(unicodedata.category(char) == "Cs" for char in name):
        return "its name is not valid UTF-8"
    if any(map(_is_control, name)):
        return "it has a blank name or control characters in it"
    return ""


def check_class_names(names: Iterable[str]) -> None:
    """Check that class names can be written to files and printed.

    Raises:
        UsageError: a name is not valid text, is blank, or has control characters.
    """
    for name in sorted(names):
        if fault := fault_of(name):
            raise UsageError(
                f'The folder "{shown(name)}" cannot be a class: {fault}, so that it cannot be written to files and printed. '
                "Rename the folder."
            )


def twins(names: Iterable[str]) -> Iterator[list[str]]:
    """Groups of class names that look alike: they differ in case, spaces at the ends, or Unicode normalization only."""
    for _, group in groupby(sorted(names, key=folded), key=folded):
        if len(alike := sorted(group)) > 1:
            yield alike


def folded(name: str) -> str:
    """The name without differences that a reader or another file system does not see: case, Unicode form, outer spaces."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def _without_fillers(words: list[str]) -> list[str]:
    rest = [word for word in words if word not in _FILLERS]
    if len(rest) != 1 or any(rest[0] in known for known in SPLIT_WORDS.values()):
        return rest
    bare = rest[0]
    for filler in sorted(_FILLERS, key=len, reverse=True):
        for cut in (bare.removesuffix(filler), bare.removeprefix(filler)):
            if cut != bare and any(cut in known for known in SPLIT_WORDS.values()):
                return [cut]
    return rest


def _lone_surrogates(name: str) -> bool:
    return any(unicodedata.category(char) == "Cs" and not "\udc80" <= char <= "\udcff" for char in name)


def _is_control(char: str) -> bool:
    """Control characters, line separators and overrides of the writing direction."""
    return (
        unicodedata.category(char) in ("Cc", "Zl", "Zp")
        or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
