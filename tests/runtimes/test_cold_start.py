from pathlib import Path

import pytest

from pocketcnn.errors import PocketcnnError
from pocketcnn.runtimes import cold_start as module
from pocketcnn.runtimes.cold_start import Launch, cold_start, launch
from pocketcnn.runtimes.machine import peak_memory
from pocketcnn.runtimes.onnxruntime_runtime import OnnxRuntime
from tests.support.onnx_files import classifier
from tests.support.runtime_networks import float_network


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    return OnnxRuntime().write(float_network(), tmp_path / "model.onnx")


def test_a_launch_tells_its_steps_and_its_memory(artefact: Path) -> None:
    found = launch("onnxruntime", artefact)
    steps = (found.import_seconds, found.build_seconds, found.run_seconds)
    assert all(step > 0 for step in steps)
    assert sum(steps) < found.seconds
    assert found.shape == (1, 3, 16, 16)
    assert found.import_bytes is not None
    assert found.peak_bytes is not None
    assert 2**20 < found.import_bytes <= found.peak_bytes < peak_memory()  # this process holds torch as well


def test_a_shape_is_needed_only_where_the_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "free.onnx"
    path.write_bytes(classifier(size="side"))
    assert launch("onnxruntime", path, shape=(2, 3, 9, 9)).shape == (2, 3, 9, 9)
    with pytest.raises(PocketcnnError, match="does not declare the size"):
        launch("onnxruntime", path)


def test_a_process_that_fails_gives_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(PocketcnnError, match=f"^ONNX Runtime cannot load {path}"):
        launch("onnxruntime", path)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"^onnxruntime crashed \(SIGSEGV\)$"),
        ("import sys; sys.exit(3)", r"^onnxruntime failed without a message \(exit code 3\)$"),
        ("import time; time.sleep(60)", r"^onnxruntime did not finish a prediction within 1 s$"),
    ],
)
def test_a_process_that_ends_in_another_way_is_told(
    program: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The program in the place of `first_prediction` does what a library's own code might."""
    python = tmp_path / "python"
    python.write_text(f"#!{module.sys.executable}\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setattr(module, "TIMEOUT", 1.0)
    monkeypatch.setattr(module.sys, "executable", str(python))
    with pytest.raises(PocketcnnError, match=message):
        launch("onnxruntime", tmp_path / "model.onnx")


def test_the_summary_has_the_medians_and_the_range() -> None:
    launches = [Launch((1, 3, 8, 8), seconds, 0.1, 0.2, 0.3, 100, size) for seconds, size in ((3, 7), (1, 5), (2, 9))]
    found = cold_start(launches)
    assert (found.launches, found.shortest, found.median, found.longest) == (3, 1, 2, 3)
    assert (found.import_bytes, found.peak_bytes) == (100, 7)
    assert cold_start([Launch((1,), 1, 1, 1, 1, None, None)]).peak_bytes is None
