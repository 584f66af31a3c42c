"""ncnn's own ways: half precision off, files that it would not check itself, images that it would compute in place."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.runtimes import get_runtime

SIZES = "0=4 1=4 2=3"


def network(folder: Path, *layers: str, blobs: int, magic: str = "7767517") -> Path:
    path = folder / "model.param"
    path.write_text("\n".join((magic, f"{len(layers)} {blobs}", *layers, "")))
    path.with_suffix(".bin").write_bytes(b"")
    return path


def test_half_precision_is_off_and_said_to_be(tmp_path: Path) -> None:
    path = network(tmp_path, f"Input input 0 1 input {SIZES}", "ReLU relu 1 1 input output", blobs=2)
    with closing(get_runtime("ncnn").build(path, threads=1)) as session:
        settings = session.info.settings
    assert {
        settings[f"use_{option}"] for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage")
    } == {"False"}


def test_a_network_that_computes_in_place_leaves_the_image_alone(tmp_path: Path) -> None:
    path = network(tmp_path, f"Input input 0 1 input {SIZES}", "ReLU relu 1 1 input output", blobs=2)
    batch = -np.ones((2, 3, 4, 4), np.float32)
    with closing(get_runtime("ncnn").build(path, threads=1)) as session:
        assert not session.run(batch).any()
    assert (batch == -1).all()


def test_files_of_others_have_names_of_their_own(tmp_path: Path) -> None:
    path = network(tmp_path, f"Input in0 0 1 in0 {SIZES}", "TanH tanh 1 1 in0 out0", blobs=2)
    batch = np.random.default_rng(0).standard_normal((2, 3, 4, 4), np.float32)
    with closing(get_runtime("ncnn").build(path, threads=1)) as session:
        np.testing.assert_allclose(session.run(batch), np.tanh(batch), atol=1e-6)


TWO_ANSWERS = ("Split split 1 2 input a b", "ReLU relu 1 1 a one", "TanH tanh 1 1 b two")


@pytest.mark.parametrize(
    ("layers", "blobs", "told"),
    [
        (("Input input 0 1 input", "ReLU relu 1 1 input output"), 2, "declare the size of its images"),
        ((f"Input a 0 1 a {SIZES}", f"Input b 0 1 b {SIZES}", "BinaryOp add 2 1 a b output"), 3, "2 inputs"),
        ((f"Input input 0 1 input {SIZES}", *TWO_ANSWERS), 5, r"2 outputs \(one, two\)"),
        ((f"Input input 0 1 input {SIZES}", "Unheard what 1 1 input output"), 2, "unknown"),
    ],
    ids=["no sizes", "two inputs", "two outputs", "unknown layer"],
)
def test_what_is_no_classifier_is_refused(tmp_path: Path, layers: tuple[str, ...], blobs: int, told: str) -> None:
    with pytest.raises(PocketcnnError, match=told):
        get_runtime("ncnn").build(network(tmp_path, *layers, blobs=blobs), threads=1)


def test_a_missing_bin_file_is_named(tmp_path: Path) -> None:
    path = network(tmp_path, f"Input input 0 1 input {SIZES}", "ReLU relu 1 1 input output", blobs=2)
    path.with_suffix(".bin").unlink()
    with pytest.raises(UsageError, match=r"model\.bin"):
        get_runtime("ncnn").build(path, threads=1)
