import json
import os
import shutil
import warnings
from collections import Counter

import pytest
from PIL import Image

from pocketcnn.data import DataFolder, ImageFolder, scan
from pocketcnn.data.report import Kind, Outcome
from pocketcnn.errors import UsageError
from tests.support.image_files import fill, picture, save


@pytest.fixture
def pets(tmp_path):
    """DATA/CLASS layout: 20 cats, 20 dogs."""
    root = tmp_path / "pets"
    fill(root / "dog", 20, 100)
    fill(root / "cat", 20, 200)
    return root


@pytest.fixture
def split_pets(tmp_path):
    """DATA/train, val and test with two classes each."""
    root = tmp_path / "split"
    for place, (split, count) in enumerate({"train": 10, "val": 6, "test": 4}.items()):
        for label, name in enumerate(("cat", "dog")):
            fill(root / split / name, count, 1000 * place + 100 * label)
    return root


def kinds(folder: ImageFolder, outcome: Outcome | None = None) -> dict[str, Kind]:
    return {f.path: f.kind for f in folder.report.findings if outcome in (None, f.kind.outcome)}


def paths(folder: ImageFolder, split: str) -> set[str]:
    return {sample.path.relative_to(folder.root).as_posix() for sample in folder.splits[split]}


def test_a_plain_folder_is_split_by_class(pets):
    folder = scan(pets)
    assert folder.classes == ("cat", "dog")
    assert {split: folder.class_counts(split) for split in folder.splits} == {
        "train": (14, 14),
        "val": (3, 3),
        "test": (3, 3),
    }
    assert all(sample.path.parent.name == folder.classes[sample.label] for sample in folder.train + folder.test)
    assert not folder.report.findings
    assert "70% train, 15% val, 15% test" in folder.notes[0]


def test_the_same_seed_gives_the_same_split_wherever_the_folder_lies(pets, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(pets, elsewhere)
    here, there = scan(pets, seed=3), scan(elsewhere, seed=3, workers=1)
    assert paths(here, "test") == paths(there, "test")
    assert here.fingerprint == there.fingerprint
    assert paths(scan(pets, seed=4), "test") != paths(here, "test")


def test_the_fingerprint_follows_names_contents_and_classes(pets):
    before = scan(pets).fingerprint
    (pets / "cat" / "000.png").rename(pets / "cat" / "999.png")
    renamed = scan(pets).fingerprint
    save(picture(7), pets / "cat" / "999.png")
    changed = scan(pets).fingerprint
    (pets / "cat" / "999.png").rename(pets / "dog" / "999.png")
    assert len({before, renamed, changed, scan(pets).fingerprint}) == 4


def test_class_names_are_sorted_as_strings(tmp_path):
    for number, name in enumerate(("10", "9", "b", "B", "ä")):
        fill(tmp_path / name, 3, 10 * number)
    assert scan(tmp_path).classes == ("10", "9", "B", "b", "ä")


def test_given_splits_are_kept(split_pets):
    folder = scan(split_pets)
    assert [len(folder.train), len(folder.val), len(folder.test)] == [20, 12, 8]
    assert all(path.startswith("val/") for path in paths(folder, "val"))
    assert not folder.notes


@pytest.mark.parametrize(
    ("names", "test_folder"),
    [(("Train", "Valid", "Test"), "Test"), (("training", "validation", "testing"), "testing")],
)
def test_usual_variants_of_split_names_are_known(split_pets, names, test_folder):
    for old, new in zip(("train", "val", "test"), names, strict=True):
        (split_pets / old).rename(split_pets / f"_{old}")
        (split_pets / f"_{old}").rename(split_pets / new)
    assert {path.split("/")[0] for path in paths(scan(split_pets), "test")} == {test_folder}


def test_without_test_val_is_halved(split_pets):
    shutil.rmtree(split_pets / "test")
    folder = scan(split_pets)
    assert folder.class_counts("val") == folder.class_counts("test") == (3, 3)
    assert "no test split: val was halved" in folder.notes[0]


def test_without_val_train_is_cut(split_pets):
    shutil.rmtree(split_pets / "val")
    folder = scan(split_pets)
    assert len(folder.test) == 8
    assert len(folder.train) + len(folder.val) == 20
    assert "no val split: it was taken from train" in folder.notes[0]


def test_train_alone_is_split_in_three(split_pets):
    shutil.rmtree(split_pets / "val")
    shutil.rmtree(split_pets / "test")
    folder = scan(split_pets)
    assert all(folder.splits.values())
    assert {path.split("/")[0] for path in paths(folder, "test")} == {"train"}


def test_a_test_folder_without_classes_is_not_used_and_the_note_says_so(split_pets):
    for path in sorted((split_pets / "test").rglob("*.png")):
        path.rename(split_pets / "test" / f"{path.parent.name}{path.name}")
    shutil.rmtree(split_pets / "test" / "cat")
    shutil.rmtree(split_pets / "test" / "dog")
    folder = scan(split_pets)
    assert any("test has no class folders with images: not used" in note for note in folder.notes)
    assert len(folder.report.of(Kind.OUTSIDE_CLASS)) == 8
    assert len(folder.test) == 6


def test_a_class_may_be_called_train(tmp_path):
    for number, name in enumerate(("bus", "car", "train")):
        fill(tmp_path / name, 4, 10 * number)
    assert scan(tmp_path).classes == ("bus", "car", "train")


def test_folders_beside_the_splits_are_reported(split_pets):
    fill(split_pets / "annotations", 1, 0)
    folder = scan(split_pets)
    assert folder.classes == ("cat", "dog")
    assert kinds(folder) == {"annotations": Kind.OUTSIDE_SPLIT}


def test_nested_folders_belong_to_their_class(pets):
    fill(pets / "cat" / "indoor" / "2024", 5, 900)
    folder = scan(pets)
    everything = paths(folder, "train") | paths(folder, "val") | paths(folder, "test")
    assert "cat/indoor/2024/000.png" in everything
    assert folder.report.used == 45


def test_hidden_and_foreign_files_are_ignored_and_counted(pets):
    for name in ("cat/.hidden.png", "cat/Thumbs.db", "cat/.DS_Store", "cat/notes.txt", "README.md", "loose.png"):
        (pets / name).write_bytes(b"x")
    fill(pets / "__MACOSX" / "cat", 2, 0)
    fill(pets / ".ipynb_checkpoints", 2, 0)
    folder = scan(pets)
    assert folder.classes == ("cat", "dog")
    assert kinds(folder) == {
        "cat/.hidden.png": Kind.HIDDEN,
        "cat/Thumbs.db": Kind.HIDDEN,
        "cat/.DS_Store": Kind.HIDDEN,
        "__MACOSX": Kind.HIDDEN,
        ".ipynb_checkpoints": Kind.HIDDEN,
        "cat/notes.txt": Kind.NOT_AN_IMAGE,
        "README.md": Kind.NOT_AN_IMAGE,
        "loose.png": Kind.OUTSIDE_CLASS,
    }
    assert folder.report.counts["ignored"] == {"hidden": 5, "not an image": 2, "outside a class": 1}


def test_bad_files_are_skipped_listed_and_not_used(pets):
    (pets / "cat" / "empty.png").write_bytes(b"")
    (pets / "cat" / "text.jpg").write_text("not an image")
    (pets / "cat" / "phone.heic").write_bytes(b"x")
    cut = save(picture(5, (64, 64)), pets / "dog" / "cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-400])
    (pets / "dog" / "gone.png").symlink_to(pets / "nowhere.png")
    folder = scan(pets)
    assert kinds(folder, Outcome.SKIPPED) == {
        "cat/empty.png": Kind.EMPTY_FILE,
        "cat/text.jpg": Kind.UNREADABLE,
        "cat/phone.heic": Kind.UNSUPPORTED,
        "dog/cut.jpg": Kind.TRUNCATED,
        "dog/gone.png": Kind.UNREADABLE,
    }
    assert folder.report.used == 40


def test_a_pipe_named_like_an_image_does_not_block(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    assert kinds(scan(pets)) == {"cat/pipe.png": Kind.UNREADABLE}


def test_odd_images_are_converted_and_listed(pets):
    save(picture(50).convert("RGBA").resize((9, 9)), pets / "cat" / "plain.png")
    save(Image.new("RGBA", (9, 9), (9, 9, 9, 9)), pets / "cat" / "clear.png")
    save(picture(51).quantize(16), pets / "cat" / "few.png")
    save(picture(52).convert("CMYK"), pets / "cat" / "print.jpg")
    save(picture(53, channels=1), pets / "cat" / "gray.png")
    frames = [picture(54), picture(55)]
    save(frames[0], pets / "cat" / "moves.png", save_all=True, append_images=frames[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = scan(pets)
    assert kinds(folder) == {
        "cat/clear.png": Kind.TRANSPARENT,
        "cat/few.png": Kind.PALETTE,
        "cat/print.jpg": Kind.CMYK,
        "cat/gray.png": Kind.GRAYSCALE,
        "cat/moves.png": Kind.ANIMATED,
    }
    assert folder.report.used == 46


def test_gray_images_among_gray_ones_are_nothing_to_report(tmp_path):
    fill(tmp_path / "a", 4, 0, channels=1)
    fill(tmp_path / "b", 4, 10, channels=1)
    assert not scan(tmp_path).report.findings


def test_copies_share_a_split_and_are_reported(pets):
    for number in range(12):
        shutil.copy(pets / "cat" / f"{number:03d}.png", pets / "cat" / f"copy{number}.png")
    folder = scan(pets)
    contents = [{sample.path.read_bytes() for sample in part} for part in folder.splits.values()]
    assert not contents[0] & contents[1]
    assert not contents[0] & contents[2]
    assert not contents[1] & contents[2]
    assert len(folder.report.of(Kind.DUPLICATE)) == 12
    assert folder.report.used == 52
    assert any("12 files are copies" in note for note in folder.notes)


def test_copies_across_given_splits_stay_in_test(split_pets):
    shutil.copy(split_pets / "test" / "cat" / "000.png", split_pets / "train" / "cat" / "leak.png")
    shutil.copy(split_pets / "val" / "dog" / "001.png", split_pets / "train" / "dog" / "leak.png")
    folder = scan(split_pets)
    assert kinds(folder) == {"train/cat/leak.png": Kind.REPEATED, "train/dog/leak.png": Kind.REPEATED}
    assert [len(folder.train), len(folder.val), len(folder.test)] == [20, 12, 8]
    assert any("2 files are copies of files in another split" in note for note in folder.notes)


def test_the_same_bytes_in_two_classes_are_a_contradiction(pets):
    shutil.copy(pets / "cat" / "003.png", pets / "dog" / "cat.png")
    folder = scan(pets)
    assert [found.path for found in folder.report.of(Kind.CONTRADICTION)] == ["dog/cat.png"]
    homes = [split for split in folder.splits if paths(folder, split) & {"cat/003.png", "dog/cat.png"}]
    assert len(homes) == 1


def test_a_class_with_one_image_is_trained_on_and_the_note_says_so(pets):
    fill(pets / "axolotl", 1, 500)
    folder = scan(pets)
    assert [folder.class_counts(split)[0] for split in folder.splits] == [1, 0, 0]
    assert any("single image: axolotl" in note for note in folder.notes)


def test_a_class_with_two_images_is_missing_from_test_and_the_note_says_so(pets):
    fill(pets / "axolotl", 2, 500)
    folder = scan(pets)
    assert [folder.class_counts(split)[0] for split in folder.splits] == [1, 1, 0]
    assert any("without an image in test: axolotl" in note for note in folder.notes)


def test_an_empty_class_folder_is_left_out_with_a_note(pets):
    (pets / "fish").mkdir()
    folder = scan(pets)
    assert folder.classes == ("cat", "dog")
    assert any("fish holds no images: not a class" in note for note in folder.notes)


def test_loops_of_links_end(pets):
    (pets / "cat" / "again").symlink_to(pets / "cat", target_is_directory=True)
    (pets / "cat" / "up").symlink_to(pets, target_is_directory=True)
    (pets / "self").symlink_to(pets, target_is_directory=True)
    (pets / "dog" / "knot").symlink_to(pets / "dog" / "knot")
    folder = scan(pets)
    assert folder.report.used == 40
    assert kinds(folder) == {
        "cat/again": Kind.LINK_LOOP,
        "cat/up": Kind.LINK_LOOP,
        "self": Kind.LINK_LOOP,
        "dog/knot": Kind.NOT_AN_IMAGE,
    }


def test_links_to_classes_and_images_elsewhere_are_listed_and_followed_on_request(pets, tmp_path):
    fill(tmp_path / "far" / "fish", 4, 700)
    (pets / "fish").symlink_to(tmp_path / "far" / "fish", target_is_directory=True)
    (pets / "cat" / "linked.png").symlink_to(save(picture(800), tmp_path / "far" / "one.png"))
    folder = scan(pets)
    assert kinds(folder) == {"fish": Kind.LINK_OUT, "cat/linked.png": Kind.LINK_OUT}
    assert any("2 links lead out of the folder" in note and "--follow-links" in note for note in folder.notes)
    folder = scan(DataFolder(pets, follow_links=True))
    assert folder.classes == ("cat", "dog", "fish")
    assert folder.report.used == 45


def test_progress_counts_every_file(pets):
    seen = []
    scan(pets, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 40) for number in range(1, 41)]


def test_the_report_goes_to_json_and_to_people(pets):
    for number in range(5):
        (pets / "cat" / f"empty{number}.png").write_bytes(b"")
    report = scan(pets).report
    assert json.loads(json.dumps(report.to_json()))["counts"]["skipped"] == {"empty file": 5}
    assert len(report.to_json()["findings"]) == 5
    lines = report.summary()
    assert lines[0] == "40 images in use"
    assert "5 skipped: empty file" in lines[1]
    assert "and 2 more" in lines[1]


def refusal(root, **options) -> str:
    with pytest.raises(UsageError) as caught:
        scan(root, **options)
    assert str(root) in str(caught.value) or options
    return str(caught.value)


def test_missing_empty_and_wrong_folders_are_refused(tmp_path):
    assert "There is no folder" in refusal(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "no class folders with images" in refusal(tmp_path / "empty")
    assert "is a file, not a folder" in refusal(save(picture(0), tmp_path / "a.png"))
    fill(tmp_path / "flat", 3, 0)
    assert "DATA/CLASS/*.png" in refusal(tmp_path / "flat")
    (tmp_path / "texts" / "a").mkdir(parents=True)
    (tmp_path / "texts" / "a" / "x.txt").write_text("x")
    assert "no class folders with images (1 other file" in refusal(tmp_path / "texts")


def test_one_class_is_refused_with_a_hint_where_a_level_was_missed(tmp_path, pets):
    fill(tmp_path / "single" / "cat", 5, 0)
    assert "only one class (cat)" in refusal(tmp_path / "single")
    outer = tmp_path / "outer"
    shutil.copytree(pets, outer / "pets")
    assert "give the path that ends in pets" in refusal(outer)


def test_splits_without_train_or_without_classes_are_refused(split_pets, tmp_path):
    shutil.rmtree(split_pets / "train")
    assert "test and val but no train" in refusal(split_pets)
    fill(tmp_path / "flat" / "train", 2, 0)
    fill(tmp_path / "flat" / "val", 2, 10)
    assert "train contains no class folders" in refusal(tmp_path / "flat")


def test_two_names_for_one_split_are_refused(split_pets):
    fill(split_pets / "valid" / "cat", 2, 5000)
    assert "both look like the val split" in refusal(split_pets)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_only_val_or_test_has_is_refused_with_its_folder(split_pets, split):
    (split_pets / split / "dog").rename(split_pets / split / "wolf")
    message = refusal(split_pets)
    assert str(split_pets / split / "wolf") in message
    assert "Only in train: dog" in message
    assert f"Only in {split}: wolf" in message


@pytest.mark.parametrize("absent", [("val",), ("test",), ("val", "test")])
def test_a_class_that_val_or_test_lacks_is_a_note(split_pets, absent):
    for split in absent:
        shutil.rmtree(split_pets / split / "dog")
    folder = scan(split_pets)
    assert folder.classes == ("cat", "dog")
    assert {name for name in folder.splits if not folder.class_counts(name)[1]} == set(absent)
    for split in ("val", "test"):
        noted = any(f"Classes without an image in {split}: dog" in note for note in folder.notes)
        assert noted == (split in absent)


def test_half_of_a_val_that_lacks_a_class_is_the_test_split(split_pets):
    shutil.rmtree(split_pets / "test")
    shutil.rmtree(split_pets / "val" / "dog")
    folder = scan(split_pets)
    assert folder.class_counts("val") == folder.class_counts("test") == (3, 0)


def test_a_folder_of_broken_images_is_refused_with_the_reasons(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"")
    message = refusal(tmp_path)
    assert "0 readable images" in message
    assert "a/x.png: the file has no bytes" in message


def test_too_few_images_are_refused(tmp_path):
    fill(tmp_path / "a", 2, 0)
    fill(tmp_path / "b", 2, 10)
    assert "three or more different images" in refusal(tmp_path)


def test_val_that_copies_train_is_refused(tmp_path):
    for name, seed in (("a", 0), ("b", 10)):
        fill(tmp_path / "train" / name, 4, seed)
        fill(tmp_path / "val" / name, 4, seed)
    assert "copies of files in val" in refusal(tmp_path)


def test_wrong_fractions_are_refused(pets):
    assert "sum to 1" in refusal(pets, fractions=(0.9, 0.2, 0.2))


def test_every_image_counts_once(pets):
    folder = scan(pets, fractions=(0.5, 0.25, 0.25))
    everything = Counter(sample.path for part in folder.splits.values() for sample in part)
    assert set(everything.values()) == {1}
    assert sum(everything.values()) == 40
