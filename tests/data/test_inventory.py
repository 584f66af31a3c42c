"""What has changed in a folder is named by kind, class and number, for any mixture of changes."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.data.inventory import Inventory
from pocketcnn.data.split import Item

CLASSES = ("cat", "dog")
ITEMS = [Item(f"{CLASSES[label]}/{number}.png", label, f"{label}-{number}") for label in (0, 1) for number in range(8)]


def inventory(items: list[Item], val: list[Item] | None = None, classes: tuple[str, ...] = CLASSES) -> Inventory:
    return Inventory.of(classes, {"train": items, "val": val or [], "test": []})


BEFORE = inventory(ITEMS)


@given(st.lists(st.sampled_from(["same", "replaced", "removed", "renamed"]), min_size=16, max_size=16), st.randoms())
def test_any_mixture_of_changes_is_counted(kinds: list[str], random: object) -> None:
    now, expected = [], Counter[tuple[str, str]]()
    for item, kind in zip(ITEMS, kinds, strict=True):
        if kind != "same":
            expected[kind, CLASSES[item.label]] += 1
        if kind == "replaced":
            item = item._replace(digest=f"new {item.key}")
        if kind == "renamed":
            item = item._replace(key=f"{item.key}.copy.png")
        if kind != "removed":
            now.append(item)
    random.shuffle(now)  # type: ignore[attr-defined]
    told = BEFORE.changes_to(inventory(now))
    words = {"renamed": "given another file name"}
    assert sorted(told) == sorted(
        f"{count} image{'s' if count > 1 else ''} of class {name} {'were' if count > 1 else 'was'} {words.get(kind, kind)}"
        for (kind, name), count in expected.items()
    )


def test_labels_splits_and_classes() -> None:
    swapped = [item._replace(key=f"{CLASSES[1 - item.label]}/{item.key[4:]}", label=1 - item.label) for item in ITEMS]
    assert BEFORE.changes_to(inventory(swapped)) == [
        "8 images of class cat were moved to class dog",
        "8 images of class dog were moved to class cat",
    ]
    exchanged = [item._replace(label=1 - item.label) for item in ITEMS]
    assert BEFORE.changes_to(inventory(exchanged)) == BEFORE.changes_to(inventory(swapped))
    assert BEFORE.changes_to(inventory(ITEMS[1:], ITEMS[:1])) == ["1 image of train was moved to val"]
    assert BEFORE.changes_to(inventory(ITEMS, classes=("cat", "hound"))) == ["the class dog was renamed to hound"]
    assert BEFORE.changes_to(inventory(ITEMS, classes=("dog", "cat"))) == ["the classes are in another order"]
    assert BEFORE.changes_to(inventory(ITEMS, classes=("a", "b", "c"))) == [
        "the classes differ: cat, dog gone; a, b, c new"
    ]
    more = [*ITEMS, Item("cat/9.png", 0, "0-1")]  # a copy of another
    assert BEFORE.changes_to(inventory(more)) == ["1 image of class cat was added"]


def test_a_damaged_table_is_refused() -> None:
    assert Inventory.from_plain(list(CLASSES), BEFORE.images).changes_to(BEFORE) == []
    for classes, images in [
        (3, BEFORE.images),
        (["cat", 2], BEFORE.images),
        (["cat"], BEFORE.images),
        (list(CLASSES), BEFORE.images[:, :3]),
        (list(CLASSES), BEFORE.images.float()),
        (list(CLASSES), BEFORE.images - 1),
        (list(CLASSES), BEFORE.images + torch.tensor([0, 0, 0, 3])),
        (list(CLASSES), "images"),
    ]:
        with pytest.raises(ValueError, match="its"):
            Inventory.from_plain(classes, images)


def test_many_images_are_compared_in_a_moment() -> None:
    many = [Item(f"cat/{number}", 0, str(number)) for number in range(50_000)]
    changed = [item._replace(digest=f"new {item.digest}") for item in many]
    assert inventory(many).changes_to(inventory(changed)) == ["50000 images of class cat were replaced"]
