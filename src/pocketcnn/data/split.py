"""Stratified splits that keep identical files together and do not depend on the order of the files.

The split of a file depends on a hash of the seed and its content. So on another machine, or after adding a few images, nearly
all images stay in their split.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pocketcnn.errors import UsageError


class Item(NamedTuple):
    """One image: its key, its class label, the digest of its bytes, and that of the first image of the same picture."""

    key: str
    label: int
    digest: str
    picture: str = ""

    @property
    def unit(self) -> str:
        """What is never split: equal for copies, in whatever bytes."""
        return self.picture or self.digest


def check_fractions(fractions: Sequence[float]) -> None:
    """Check that fractions are positive and sum to 1.

    Raises:
        UsageError: they are not.
    """
    if not all(0 < fraction < 1 for fraction in fractions) or abs(sum(fractions) - 1) > 1e-6:
        given = ", ".join(f"{fraction:g}" for fraction in fractions)
        raise UsageError(f"Split fractions must be between 0 and 1 and sum to 1, not {given}.")


def stratified_split(items: Iterable[Item], fractions: Sequence[float], seed: int = 0) -> tuple[tuple[Item, ...], ...]:
    """Split `items` into one part per fraction, stratified by class. Copies are in the same part.

    A class with at least as many distinct images as parts is in every part; one with fewer fills the parts with the
    largest fractions. Each part is sorted by label and key.

    Raises:
        UsageError: the fractions are not positive or do not sum to 1.
    """
    check_fractions(fractions)
    parts: tuple[list[Item], ...] = tuple([] for _ in fractions)
    for groups in _groups_by_class(items).values():
        ranked = sorted(groups, key=lambda group: _rank(seed, group[0].unit))
        start = 0
        for part, count in zip(parts, apportion(len(ranked), fractions), strict=True):
            part.extend(item for group in ranked[start : start + count] for item in group)
            start += count
    return tuple(tuple(sorted(part, key=lambda item: (item.label, item.key))) for part in parts)


def apportion(total: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """Apportion `total` items by `fractions`: each part first gets one item, then the part with the largest deficit."""
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
    """Keep copies in one split only, the first in `keep_first_in` that has them; copies within a split stay.

    Returns:
        The cleaned splits, and the removed items sorted by key.
    """
    owner: dict[str, str] = {}
    for name in keep_first_in:
        for item in splits[name]:
            owner.setdefault(item.unit, name)
    kept = {name: tuple(item for item in items if owner[item.unit] == name) for name, items in splits.items()}
    dropped = [item for name, items in splits.items() for item in items if owner[item.unit] != name]
    return kept, tuple(sorted(dropped))


def repeats(items: Iterable[Item]) -> tuple[tuple[Item, ...], ...]:
    """Groups of two or more items with identical bytes, each sorted by key."""
    return tuple(group for group in _groups(items, lambda item: item.digest) if len(group) > 1)


def _groups(items: Iterable[Item], key: Callable[[Item], str]) -> list[tuple[Item, ...]]:
    by_key: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(items):
        by_key[key(item)].append(item)
    return [tuple(group) for group in by_key.values()]


def _groups_by_class(items: Iterable[Item]) -> dict[int, list[tuple[Item, ...]]]:
    """Groups of copies by the label of their first key; identical files may have different labels."""
    by_label: defaultdict[int, list[tuple[Item, ...]]] = defaultdict(list)
    for group in _groups(items, lambda item: item.unit):
        by_label[group[0].label].append(group)
    return by_label


def _rank(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()
