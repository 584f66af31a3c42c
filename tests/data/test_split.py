import hashlib
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.data.missing_splits import complete_splits
from pocketcnn.data.split import Item, apportion, drop_repeats, repeats, stratified_split
from pocketcnn.errors import UsageError

FRACTIONS = (0.7, 0.15, 0.15)


def item(label: int, number: int, content: int, split: str = "") -> Item:
    return Item(f"{split}/{label}/{number}", label, hashlib.sha256(f"{label} {content}".encode()).hexdigest())


@st.composite
def labelled_items(draw: st.DrawFn) -> list[Item]:
    """A few classes; contents repeat within a class."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    contents = [draw(st.lists(st.integers(0, 40), min_size=size, max_size=size)) for size in sizes]
    return [item(label, n, content) for label, row in enumerate(contents) for n, content in enumerate(row)]


@st.composite
def fractions(draw: st.DrawFn) -> tuple[float, ...]:
    weights = draw(st.lists(st.integers(1, 20), min_size=2, max_size=4))
    return tuple(weight / sum(weights) for weight in weights)


@given(labelled_items(), fractions(), st.integers(0, 3))
def test_parts_are_disjoint_and_complete(items, shares, seed):
    parts = stratified_split(items, shares, seed)
    assert len(parts) == len(shares)
    assert sorted(i for part in parts for i in part) == sorted(items)


@given(labelled_items(), fractions(), st.integers(0, 3))
def test_identical_files_share_a_part(items, shares, seed):
    parts = stratified_split(items, shares, seed)
    homes = Counter(digest for part in parts for digest in {i.digest for i in part})
    assert set(homes.values()) == {1}


@given(labelled_items(), st.integers(0, 3))
def test_a_class_with_three_different_images_is_in_every_part(items, seed):
    parts = stratified_split(items, FRACTIONS, seed)
    different = Counter(label for label, _ in {(i.label, i.digest) for i in items})
    for label, count in different.items():
        present = [any(i.label == label for i in part) for part in parts]
        assert present == ([True] * 3 if count >= 3 else [True, count == 2, False])


@given(labelled_items(), st.randoms(use_true_random=False))
def test_the_order_of_listing_does_not_matter(items, rng: random.Random):
    shuffled = rng.sample(items, len(items))
    assert stratified_split(shuffled, FRACTIONS, 1) == stratified_split(items, FRACTIONS, 1)


@given(st.integers(0, 400), fractions())
def test_shares_are_whole_and_within_one_of_the_fractions(total, shares):
    counts = apportion(total, shares)
    assert sum(counts) == total
    if total * min(shares) >= 1:
        assert all(abs(count - share * total) < 1 + 1e-9 for count, share in zip(counts, shares, strict=True))


def test_seeds_differ_and_repeat():
    items = [item(0, n, n) for n in range(60)]
    assert stratified_split(items, FRACTIONS, 1) == stratified_split(items, FRACTIONS, 1)
    assert stratified_split(items, FRACTIONS, 1) != stratified_split(items, FRACTIONS, 2)


def test_one_more_image_moves_hardly_any_other():
    items = [item(0, n, n) for n in range(200)]
    before = [set(part) for part in stratified_split(items, FRACTIONS, 0)]
    after = [set(part) for part in stratified_split([*items, item(0, 999, 999)], FRACTIONS, 0)]
    stayed = sum(len(b & a) for b, a in zip(before, after, strict=True))
    assert stayed >= 198


@pytest.mark.parametrize("wrong", [(0.5, 0.6), (1.0, 0.0), (1.2, -0.2), (0.3, 0.3)])
def test_wrong_fractions_are_refused_with_the_values_given(wrong):
    with pytest.raises(UsageError, match=f"{wrong[0]:g}"):
        stratified_split([item(0, 0, 0)], wrong)


def test_repeats_stay_in_the_first_split_named_and_copies_within_it_stay():
    splits = {"train": [item(0, 0, 7), item(0, 1, 8)], "test": [item(0, 2, 7), item(0, 3, 7)]}
    kept, dropped = drop_repeats(splits, ("test", "train"))
    assert kept == {"train": (splits["train"][1],), "test": tuple(splits["test"])}
    assert dropped == (splits["train"][0],)
    assert repeats(splits["test"]) == (tuple(splits["test"]),)


def given_splits(*names: str) -> dict[str, list[Item]]:
    """Ten images of two classes in each split, one of which lies in all of them."""
    return {
        name: [item(label, n, 0 if n == 0 else 100 * place + n, name) for label in (0, 1) for n in range(10)]
        for place, name in enumerate(names, start=1)
    }


@pytest.mark.parametrize(
    "names", [("train",), ("train", "val"), ("train", "test"), ("train", "val", "test")], ids=" ".join
)
def test_missing_splits_are_cut_from_what_is_there(names):
    folder = given_splits(*names)
    done = complete_splits(folder, FRACTIONS, 0)
    digests = [{i.digest for i in part} for part in done.splits.values()]
    assert all(digests)
    assert not digests[0] & digests[1]
    assert not digests[0] & digests[2]
    assert not digests[1] & digests[2]
    everything = sorted(i for part in folder.values() for i in part)
    assert sorted([*done.train, *done.val, *done.test, *done.dropped]) == everything
    assert len(done.dropped) == 2 * (len(names) - 1)  # a file in all splits counts once a class
    assert len(done.notes) == (0 if len(names) == 3 else 1)


def test_a_given_test_split_keeps_all_its_images():
    folder = given_splits("train", "val", "test")
    assert list(complete_splits(folder, FRACTIONS, 0).test) == folder["test"]


def test_val_is_halved_by_class_and_the_note_says_so():
    done = complete_splits(given_splits("train", "val"), FRACTIONS, 5)
    assert Counter(i.label for i in done.val) == Counter(i.label for i in done.test) == {0: 5, 1: 5}
    assert "val was halved by class with seed 5" in done.notes[0]
    assert "test (10 images) for the reported accuracy" in done.notes[0]
