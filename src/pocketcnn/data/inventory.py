"""The images of a folder as a small table, by which a later run can say what has changed in the folder."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketcnn.data.split import Item

SPLITS = ("train", "val", "test")
COLUMNS = ("path", "content", "label", "split")


@dataclass(frozen=True)
class Inventory:
    """The images in use.

    Attributes:
        classes: class names, in the order of the labels.
        images: (N, 4) int64: hash of the path in the folder, hash of the content, label, and index of the split.
    """

    classes: tuple[str, ...]
    images: Tensor

    @classmethod
    def of(cls, classes: Sequence[str], splits: Mapping[str, Iterable[Item]]) -> "Inventory":
        """The table of the items of each split."""
        rows = sorted(
            (_hash(item.key), _hash(item.digest), item.label, SPLITS.index(split))
            for split, items in splits.items()
            for item in items
        )
        return cls(tuple(classes), torch.tensor(rows, dtype=torch.int64).reshape(-1, len(COLUMNS)))

    @classmethod
    def from_plain(cls, classes: object, images: object) -> "Inventory":
        """The table from what was read from a file.

        Raises:
            ValueError: it is no such table.
        """
        if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
            raise ValueError("its class names are no list of names")
        if not isinstance(images, Tensor) or images.dtype != torch.int64 or images.ndim != 2:
            raise ValueError("its table of images is damaged")
        if images.shape[1] != len(COLUMNS) or not _within(images[:, 2], len(classes)):
            raise ValueError("its table of images is damaged")
        if not _within(images[:, 3], len(SPLITS)):
            raise ValueError("its table of images is damaged")
        return cls(tuple(classes), images)

    def changes_to(self, now: "Inventory") -> list[str]:
        """What has changed from this table to `now`, as sentences without a full stop; empty if nothing has."""
        if self.classes != now.classes:
            return [_renamed(self.classes, now.classes)]
        if torch.equal(self.images, now.images):
            return []
        return _described(_differences(self, now), self.classes)


Difference = tuple[str, int, int]
"""What happened to an image, and two numbers that it is about: labels, or splits."""


def _differences(before: Inventory, now: Inventory) -> Counter[Difference]:
    """Count what happened to each image. Images are recognised by path and content, else by content, else by path."""
    left, right = _rows(before), _rows(now)
    same = left & right
    old, new = list((left - same).elements()), list((right - same).elements())
    found: Counter[Difference] = Counter()
    for key in (_path_and_content, _content, _path):
        waiting: dict[object, list[int]] = {}
        for place, row in enumerate(new):
            waiting.setdefault(key(row), []).append(place)
        matched = set()
        unmatched = []
        for row in old:
            others = waiting.get(key(row))
            if not others:
                unmatched.append(row)
                continue
            place = others.pop()
            matched.add(place)
            found[_what(row, new[place])] += 1
        old, new = unmatched, [row for place, row in enumerate(new) if place not in matched]
    for _, _, label, _ in old:
        found["removed", label, label] += 1
    for _, _, label, _ in new:
        found["added", label, label] += 1
    return found


Row = tuple[int, int, int, int]


def _rows(inventory: Inventory) -> Counter[Row]:
    return Counter((row[0], row[1], row[2], row[3]) for row in inventory.images.tolist())


def _path_and_content(row: Row) -> object:
    return row[:2]


def _content(row: Row) -> object:
    return row[1]


def _path(row: Row) -> object:
    return row[0]


def _what(row: Row, other: Row) -> Difference:
    if row[1] != other[1]:
        return "replaced", row[2], other[2]
    if row[2] != other[2]:
        return "relabelled", row[2], other[2]
    if row[3] != other[3]:
        return "split", row[3], other[3]
    return "renamed", row[2], other[2]


def _described(found: Counter[Difference], classes: Sequence[str]) -> list[str]:
    lines = []
    for (kind, first, second), count in sorted(found.items()):
        images = f"{count} image{'s' if count > 1 else ''}"
        were = "were" if count > 1 else "was"
        if kind == "split":
            lines.append(f"{images} of {SPLITS[first]} {were} moved to {SPLITS[second]}")
        elif kind == "relabelled":
            lines.append(f"{images} of class {classes[first]} {were} moved to class {classes[second]}")
        else:
            verb = {"renamed": "given another file name"}.get(kind, kind)
            lines.append(f"{images} of class {classes[second]} {were} {verb}")
    return lines


def _renamed(before: Sequence[str], now: Sequence[str]) -> str:
    gone, fresh = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    if len(gone) == len(fresh) == 1:
        return f"the class {gone[0]} was renamed to {fresh[0]}"
    if gone or fresh:
        parts = [f"{', '.join(names)} {what}" for names, what in ((gone, "gone"), (fresh, "new")) if names]
        return f"the classes differ: {'; '.join(parts)}"
    return "the classes are in another order"


def _within(numbers: Tensor, limit: int) -> bool:
    return bool(((numbers >= 0) & (numbers < limit)).all())


def _hash(text: str) -> int:
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
