"""Completion of the splits of a data folder: a missing train, val or test split is taken from an existing one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pocketcnn.data.split import Item, drop_repeats, stratified_split

# A test set of the data folder keeps all its images, so that its accuracy is comparable with published figures.
KEEP_FIRST_IN = ("test", "val", "train")


class CompletedSplits(NamedTuple):
    """Three disjoint splits, the copies that were removed, and notes about what was done."""

    train: tuple[Item, ...]
    val: tuple[Item, ...]
    test: tuple[Item, ...]
    dropped: tuple[Item, ...]
    notes: tuple[str, ...]

    @property
    def splits(self) -> dict[str, tuple[Item, ...]]:
        """The three splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}


def complete_splits(given: Mapping[str, Sequence[Item]], fractions: Sequence[float], seed: int) -> CompletedSplits:
    """Complete the splits `given`, which have "train" and optionally "val" and "test".

    If copies of a file are in several splits, only one split keeps them: test before val before train. Then, by
    `fractions` (train, val, test) and `seed`: train alone is split into three; a missing val is taken from train; for a
    missing test, val is halved.
    """
    kept, dropped = drop_repeats(given, [name for name in KEEP_FIRST_IN if name in given])
    train, val, test = (kept.get(name, ()) for name in ("train", "val", "test"))
    train_share, val_share, test_share = fractions
    notes: tuple[str, ...] = ()
    if "val" in given and "test" not in given:
        val, test = stratified_split(val, (0.5, 0.5), seed)
        notes = (f"There is no test split: val was halved by class with seed {seed}. {_roles(val, test)}",)
    elif "test" in given and "val" not in given:
        whole = train_share + val_share
        train, val = stratified_split(train, (train_share / whole, val_share / whole), seed)
        notes = (f"There is no val split: it was taken from train by class with seed {seed}. {_roles(val, test)}",)
    elif "val" not in given:
        train, val, test = stratified_split(train, fractions, seed)
        shares = f"{train_share:.0%} train, {val_share:.0%} val, {test_share:.0%} test"
        notes = (f"The images were split by class with seed {seed}: {shares}. {_roles(val, test)}",)
    return CompletedSplits(train, val, test, dropped, notes)


def _roles(val: Sequence[Item], test: Sequence[Item]) -> str:
    return f"val ({len(val)} images) is for model selection, test ({len(test)} images) for the reported accuracy."
