"""`pocketcnn data`, and every folder that is not what a classifier needs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.cli import document, fail, succeed, write_digits


def test_the_digits_are_written_as_a_folder(tmp_path: Path) -> None:
    written = document("data", "digits", "--out", tmp_path / "digits")
    assert written["images"] == 1797
    assert len(list((tmp_path / "digits").glob("*/*.png"))) == 1797
    assert "not empty" in fail(2, "data", "digits", "--out", Path(__file__).parent)


def test_a_folder_is_checked(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "data", classes=2, each=10)
    (folder / "zero" / "broken.png").write_bytes(b"")
    (folder / "zero" / "notes.txt").write_text("no image")
    found = document("data", "check", folder)
    assert found["classes"] == ["one", "zero"]
    assert sum(found["splits"][split]["zero"] for split in ("train", "val", "test")) == 10
    assert found["input"]["channels"] == 1
    assert found["report"]["counts"]["skipped"] == {"empty file": 1}
    shown = succeed("data", "check", folder).stdout
    assert "zero/broken.png" in shown
    assert "20 images in use" in shown


def test_a_long_list_of_findings_is_cut_and_says_so(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "data", classes=2, each=6)
    for number in range(30):
        (folder / "one" / f"broken{number}.png").write_bytes(b"")
    assert "… and 10 more: --all lists them." in succeed("data", "check", folder).stdout
    assert "broken29" in succeed("data", "check", folder, "--all").stdout


def test_mended_and_damaged_images_of_all_kinds_are_listed(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "data", classes=2, each=6)
    picture = Image.radial_gradient("L").resize((8, 8))
    picture.convert("CMYK").save(folder / "one" / "cmyk.jpg")
    picture.convert("P").save(folder / "one" / "palette.png")
    Image.fromarray(np.asarray(picture, dtype=np.uint16) * 257).save(folder / "one" / "deep.png")
    picture.save(folder / "one" / "moving.gif", save_all=True, append_images=[picture.rotate(90)])
    whole = (folder / "one" / "000.png").read_bytes()
    (folder / "one" / "cut.png").write_bytes(whole[: len(whole) // 2])
    counts = document("data", "check", folder)["report"]["counts"]
    assert {"cmyk", "palette", "16-bit", "animated"} <= counts["converted"].keys()
    assert counts["skipped"] == {"truncated": 1}


@pytest.mark.parametrize(
    "verb", [("data", "check", "{data}"), ("fit", "{data}", "--budget", "macs<=1M", "--out", "{out}")]
)
def test_folders_that_cannot_be_used_are_explained(verb: tuple[str, ...], tmp_path: Path) -> None:
    def message(folder: Path) -> str:
        return fail(2, *(part.format(data=folder, out=tmp_path / "out") for part in verb))

    empty = tmp_path / "empty"
    empty.mkdir()
    file = tmp_path / "file.png"
    file.touch()
    assert f"There is no folder {tmp_path / 'missing'}" in message(tmp_path / "missing")
    assert f"{empty} has no class folders with images" in message(empty)
    assert f"{file} is a file, not a folder" in message(file)
    assert "only one class (zero)" in message(write_digits(tmp_path / "one", classes=1, each=4))
    assert not (tmp_path / "out").exists()


def test_a_class_with_one_image_is_used_and_named(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "data", classes=2, each=9)
    (folder / "rare").mkdir()
    (folder / "one" / "000.png").rename(folder / "rare" / "000.png")
    assert "Classes with a single image: rare" in succeed("data", "check", folder).stdout
