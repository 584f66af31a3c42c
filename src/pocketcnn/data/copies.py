"""Copies among the images of a folder: the same bytes, and the same picture in other bytes, as findings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pocketcnn.data.images import ImageCheck
from pocketcnn.data.layout import Candidate
from pocketcnn.data.report import Finding, Kind
from pocketcnn.data.same_pictures import same_pictures
from pocketcnn.data.split import Item, repeats


class Twin(NamedTuple):
    """The first image of the same picture: its key, its digest, and whether the pixels are equal."""

    key: str
    digest: str
    equal: bool


def twins_of(candidates: Sequence[Candidate], checks: Sequence[ImageCheck]) -> dict[str, Twin]:
    """The keys of images that are the same picture as one before them, in other bytes."""
    seen = [
        (candidate.key, check) for candidate, check in zip(candidates, checks, strict=True) if check.look is not None
    ]
    looks = [check.look for _, check in seen if check.look is not None]
    found = {}
    for (key, check), look, index in zip(seen, looks, same_pictures(looks), strict=True):
        first, of_first = seen[index]
        if check.digest != of_first.digest:
            found[key] = Twin(first, of_first.digest, look.pixels == looks[index].pixels)
    return found


def findings_of_pictures(items: Iterable[Item], alike: Mapping[str, Twin], classes: Sequence[str]) -> Iterator[Finding]:
    label = {item.key: item.label for item in items}
    for key in sorted(alike.keys() & label.keys()):
        twin = alike[key]
        yield Finding.of(key, Kind.SAME_PIXELS if twin.equal else Kind.NEAR_DUPLICATE, f"of {twin.key}")
        if twin.equal and label.get(twin.key, label[key]) != label[key]:
            yield Finding.of(key, Kind.CONTRADICTION, f"{classes[label[twin.key]]} and {classes[label[key]]}")


def findings_of_dropped(dropped: Iterable[Item], kept: Iterable[Item], alike: Mapping[str, Twin]) -> Iterator[Finding]:
    """Findings of the images that are not used, because another split has the same picture."""
    by_unit = {item.unit: item for item in kept}
    for item in dropped:
        other = by_unit.get(item.unit)
        twin = alike.get(item.key) or (alike.get(other.key) if other else None)
        if other is None or other.digest == item.digest or twin is None:
            yield Finding.of(item.key, Kind.REPEATED)
        else:
            what = "the pixels" if twin.equal else "nearly the picture"
            yield Finding.of(item.key, Kind.REPEATED, f"{what} of {other.key}")


def findings_of_copies(items: Iterable[Item], classes: Sequence[str]) -> Iterator[Finding]:
    """Findings of the images of `items` with the bytes of another one."""
    for first, *copies in repeats(items):
        for copy in copies:
            yield Finding.of(copy.key, Kind.DUPLICATE, f"of {first.key}")
            if copy.label != first.label:
                yield Finding.of(copy.key, Kind.CONTRADICTION, f"{classes[first.label]} and {classes[copy.label]}")
