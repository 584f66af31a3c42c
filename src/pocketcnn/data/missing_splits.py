"""From the splits that a data folder has to train, val and test: what is missing is cut from what is there."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pocketcnn.data.split import Item, drop_repeats, stratified_split

# A test set that came with the data keeps all its images, so that its figure can be compared with others'.
KEEP_FIRST_IN = ("test", "val", "train")


class CompletedSplits(NamedTuple):
    """Three disjoint splits, the copies that were left out of them, and what was done, in words."""

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
    """Make train, val and test of `given`, which has "train" and perhaps "val" and "test".

    Copies of a file that lie in several given splits stay in test before val before train. Then, by `fractions`
    (train, val, test) and `seed`: train alone is split in three; without val, it is cut from train; without test,
    val is halved.
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
        notes = (f"There is no val split: it was cut from train by class with seed {seed}. {_roles(val, test)}",)
    elif "val" not in given:
        train, val, test = stratified_split(train, fractions, seed)
        shares = f"{train_share:.0%} train, {val_share:.0%} val, {test_share:.0%} test"
        notes = (f"The images were split by class with seed {seed}: {shares}. {_roles(val, test)}",)
    return CompletedSplits(train, val, test, dropped, notes)


def _roles(val: Sequence[Item], test: Sequence[Item]) -> str:
    return f"Choices are made on val ({len(val)} images), the figures come from test ({len(test)} images)."
