"""`pocketcnn predict`."""

import csv
import io
from pathlib import Path

import pytest

from tests.support.cli import document, fail, invoke, succeed, write_digits


def test_a_folder_is_predicted_image_by_image(model: Path, digits: Path) -> None:
    images = document("predict", model, digits)["images"]
    assert [image["image"] for image in images] == sorted(str(path) for path in digits.glob("*/*.png"))
    for image in images:
        shares = [guess["probability"] for guess in image["guesses"]]
        assert {guess["class"] for guess in image["guesses"]} == {"zero", "one", "two"}
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_it_agrees_with_eval(model: Path, digits: Path) -> None:
    images = document("predict", model, digits, "--top", 1)["images"]
    right = sum(Path(image["image"]).parent.name == image["guesses"][0]["class"] for image in images)
    assert right / len(images) == document("eval", model, digits, "--split", "all")["top1"]


def test_the_deployable_file_says_the_same(model: Path, onnx_file: Path, digits: Path) -> None:
    of_model, of_file = (document("predict", file, digits / "one", "--top", 1)["images"] for file in (model, onnx_file))
    for expected, found in zip(of_model, of_file, strict=True):
        assert found["guesses"][0]["class"] == expected["guesses"][0]["class"]
        assert found["guesses"][0]["probability"] == pytest.approx(expected["guesses"][0]["probability"], abs=1e-4)


def test_csv_and_the_table_say_what_json_says(model: Path, digits: Path) -> None:
    image = digits / "one" / "000.png"
    (expected,) = document("predict", model, image, "--top", 2)["images"]
    rows = list(csv.DictReader(io.StringIO(succeed("predict", model, image, "--top", 2, "--csv").stdout)))
    assert [row["class"] for row in rows] == [guess["class"] for guess in expected["guesses"]]
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert float(rows[0]["probability"]) == pytest.approx(expected["guesses"][0]["probability"], abs=1e-6)
    _, line = succeed("predict", model, image, "--top", 1).stdout.splitlines()
    assert line.startswith(f"{image}  {expected['guesses'][0]['class']} ")


def test_images_that_cannot_be_read_are_named_and_left_out(model: Path, tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "data", classes=1, each=2)
    (folder / "zero" / "bad.png").write_bytes(b"no image")
    result = invoke("predict", model, folder, "--json")
    assert result.exit_code == 0
    assert f"Skipped {folder / 'zero' / 'bad.png'}" in result.stderr
    assert "bad.png" in result.stdout
    assert "None of the images can be read" in invoke("predict", model, folder / "zero" / "bad.png").stderr
    assert invoke("predict", model, folder / "zero" / "bad.png").exit_code == 1


def test_mistakes_are_explained(model: Path, digits: Path, tmp_path: Path) -> None:
    assert "There is no file or folder" in fail(2, "predict", model, tmp_path / "absent.png")
    assert "contains no images" in fail(2, "predict", model, tmp_path)
    assert "exclude each other" in fail(2, "predict", model, digits, "--json", "--csv")
    assert "a file ending in '.png'; a model file" in fail(2, "predict", digits / "one" / "000.png", model)
