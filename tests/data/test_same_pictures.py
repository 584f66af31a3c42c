"""The same picture in other bytes: equal pixels and near-duplicates share a split; different pictures are not taken for one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pocketcnn.data import ImageFolder, scan
from pocketcnn.data.report import Kind
from pocketcnn.data.same_pictures import Look, look_of, same_pictures
from tests.support.image_files import fill, save


def scene(seed: int, size: tuple[int, int] = (120, 160)) -> Image.Image:
    """A random smooth scene with shapes, of `size` (height, width)."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((size[1], size[0]), 3)
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y, side = rng.integers(0, size[1]), rng.integers(0, size[0]), rng.integers(10, 60)
        draw.ellipse((int(x), int(y), int(x + side), int(y + side)), fill=tuple(map(int, rng.integers(0, 256, 3))))
    return image


def is_same(one: Image.Image, other: Image.Image) -> bool:
    return same_pictures([look_of(one), look_of(other)])[1] == 0


def split_of(folder: ImageFolder) -> dict[str, str]:
    return {
        sample.path.relative_to(folder.root).as_posix(): split
        for split, part in folder.splits.items()
        for sample in part
    }


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["jpeg 60", "jpeg 90", "half", "larger", "webp"]))
def test_copies_are_found_and_other_scenes_are_not(seed: int, how: str) -> None:
    image = scene(seed)
    if how in ("half", "larger"):
        copy = image.resize((80, 60) if how == "half" else (320, 240), Image.Resampling.BICUBIC)
    else:
        from io import BytesIO

        form, *quality = how.split()
        data = BytesIO()
        image.save(data, form, quality=int(quality[0]) if quality else 80)
        copy = Image.open(data)
    assert is_same(image, copy)
    assert not is_same(image, scene(seed + 1))


def test_a_changed_detail_is_another_picture() -> None:
    def clock(angle: float) -> Image.Image:
        image = Image.new("RGB", (96, 96), "white")
        draw = ImageDraw.Draw(image)
        draw.ellipse((8, 8, 88, 88), fill="orange")
        end = (48 + 30 * np.cos(angle), 48 + 30 * np.sin(angle))
        draw.line(((48, 48), end), fill="black", width=6)
        return image

    looks = [look_of(clock(hour * np.pi / 6)) for hour in range(12)]
    assert same_pictures(looks) == list(range(12))


def test_plain_and_tiny_images_are_the_same_only_if_their_pixels_are() -> None:
    plain = [look_of(Image.new("RGB", (64, 64), (shade, shade, shade))) for shade in range(0, 40, 2)]
    digits = [look_of(scene(seed, (8, 8))) for seed in range(50)]
    assert same_pictures([*plain, *digits, plain[3]]) == [*range(70), 3]


def test_the_digits_are_all_different() -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    images = np.round(sklearn.load_digits().images * 255 / 16).astype(np.uint8)
    for side in (8, 32):
        looks = [look_of(Image.fromarray(image).resize((side, side), 2)) for image in images]
        first = same_pictures(looks)
        assert sum(index != leader for index, leader in enumerate(first)) <= 0.001 * len(first)


@given(st.lists(st.integers(0, 6), max_size=30))
def test_the_first_of_a_group_is_its_own_first_and_the_order_is_that_of_the_images(seeds: list[int]) -> None:
    first = same_pictures([Look(str(seed)) for seed in seeds])
    assert first == [seeds.index(seed) for seed in seeds]


def test_copies_in_other_bytes_share_a_split_and_are_reported(tmp_path: Path) -> None:
    for place, name in enumerate(("cat", "dog")):
        for number in range(15):
            image = scene(100 * place + number)
            save(image, tmp_path / name / f"{number:02}.png")
            if number < 10:
                save(image, tmp_path / name / f"{number:02} again.bmp")
                save(image, tmp_path / name / f"{number:02} small.jpg", quality=80)
    folder = scan(tmp_path)
    split = split_of(folder)
    for path, where in split.items():
        assert split[f"{path[:6]}.png"] == where
    assert len(folder.report.of(Kind.SAME_PIXELS)) == len(folder.report.of(Kind.NEAR_DUPLICATE)) == 20
    assert any("40 files show the picture of another file in other bytes, 20 of them" in note for note in folder.notes)


def test_copies_across_given_splits_are_used_in_test_only(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "val", "test")):
        for label, name in enumerate(("cat", "dog")):
            for number in range(4):
                save(scene(1000 * place + 100 * label + number), tmp_path / split / name / f"{number}.png")
    save(scene(2000), tmp_path / "train" / "cat" / "leak.jpg", quality=85)
    save(scene(1100), tmp_path / "train" / "dog" / "leak.bmp")
    folder = scan(tmp_path)
    found = {finding.path: finding.done for finding in folder.report.of(Kind.REPEATED)}
    assert found.keys() == {"train/cat/leak.jpg", "train/dog/leak.bmp"}
    assert "nearly the picture of test/cat/0.png" in found["train/cat/leak.jpg"]
    assert "the pixels of val/dog/0.png" in found["train/dog/leak.bmp"]
    assert [len(part) for part in folder.splits.values()] == [8, 8, 8]


def test_the_same_pixels_in_two_classes_are_a_contradiction(tmp_path: Path) -> None:
    for place, name in enumerate(("cat", "dog")):
        fill(tmp_path / name, 6, 100 * place)
    save(Image.open(tmp_path / "cat" / "000.png"), tmp_path / "dog" / "x.bmp")
    assert [finding.path for finding in scan(tmp_path).report.of(Kind.CONTRADICTION)] == ["dog/x.bmp"]
