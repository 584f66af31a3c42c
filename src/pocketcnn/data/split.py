"""Splits that are stratified by class, keep identical files together, and do not depend on the order of listing.

A file's place follows from a hash of the seed and its content, so another machine, another file system or a few
more images leave nearly every image where it was.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pocketcnn.errors import UsageError


class Item(NamedTuple):
    """One image to place: its key (unique), its class, and the digest of its bytes."""

    key: str
    label: int
    digest: str


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuse shares that are not positive or do not sum to one.

    Raises:
        UsageError: says which fractions were given.
    """
    if not all(0 < fraction < 1 for fraction in fractions) or abs(sum(fractions) - 1) > 1e-6:
        given = ", ".join(f"{fraction:g}" for fraction in fractions)
        raise UsageError(f"Split fractions must lie between 0 and 1 and sum to 1, not {given}.")


def stratified_split(items: Iterable[Item], fractions: Sequence[float], seed: int = 0) -> tuple[tuple[Item, ...], ...]:
    """Divide `items` in one part per fraction, class by class. Items of equal digest always share a part.

    A class with at least as many distinct images as there are parts appears in each part. One with fewer fills
    the parts from the largest fraction down. Each part comes sorted by label and key.

    Raises:
        UsageError: the fractions are not positive or do not sum to one.
    """
    check_fractions(fractions)
    parts: tuple[list[Item], ...] = tuple([] for _ in fractions)
    for groups in _groups_by_class(items).values():
        ranked = sorted(groups, key=lambda group: _rank(seed, group[0].digest))
        start = 0
        for part, count in zip(parts, apportion(len(ranked), fractions), strict=True):
            part.extend(item for group in ranked[start : start + count] for item in group)
            start += count
    return tuple(tuple(sorted(part, key=lambda item: (item.label, item.key))) for part in parts)


def apportion(total: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """Whole shares of `total` nearest to `fractions`: each part gets one first, the rest by largest deficit."""
    order = sorted(range(len(fractions)), key=lambda part: -fractions[part])
    shares = [0] * len(fractions)
    for given in range(total):
        if given < len(order):
            shares[order[given]] += 1
        else:
            shares[max(order, key=lambda part: fractions[part] * total - shares[part])] += 1
    return tuple(shares)


def drop_repeats(
    splits: Mapping[str, Sequence[Item]], keep_first_in: Sequence[str]
) -> tuple[dict[str, tuple[Item, ...]], tuple[Item, ...]]:
    """Leave each content in one split only, the first in `keep_first_in` that has it; copies within a split stay.

    Returns the cleaned splits and the items that were dropped, sorted by key.
    """
    owner: dict[str, str] = {}
    for name in keep_first_in:
        for item in splits[name]:
            owner.setdefault(item.digest, name)
    kept = {name: tuple(item for item in items if owner[item.digest] == name) for name, items in splits.items()}
    dropped = [item for name, items in splits.items() for item in items if owner[item.digest] != name]
    return kept, tuple(sorted(dropped))


def repeats(items: Iterable[Item]) -> tuple[tuple[Item, ...], ...]:
    """Groups of two or more items with the same bytes, each sorted by key."""
    return tuple(group for group in _groups(items) if len(group) > 1)


def _groups(items: Iterable[Item]) -> list[tuple[Item, ...]]:
    by_digest: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(items):
        by_digest[item.digest].append(item)
    return [tuple(group) for group in by_digest.values()]


def _groups_by_class(items: Iterable[Item]) -> dict[int, list[tuple[Item, ...]]]:
    """Groups of identical files under the label of their first key: the same bytes may lie in two classes."""
    by_label: defaultdict[int, list[tuple[Item, ...]]] = defaultdict(list)
    for group in _groups(items):
        by_label[group[0].label].append(group)
    return by_label


def _rank(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()
