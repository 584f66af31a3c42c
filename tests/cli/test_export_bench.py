"""`pocketcnn export`, `bench` and `doctor`."""

from pathlib import Path

import onnx
import pytest
import torch

from pocketcnn.cli.bench import parse_threads
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph.model_file import load
from pocketcnn.pipeline.deploy.export import FORMATS, runtime_of_format
from pocketcnn.pipeline.sidecar import read_sidecar
from pocketcnn.runtimes.parity import parity
from tests.support.cli import document, fail, invoke, succeed

QUICK = ("--seconds", "0.05", "--launches", "1")


def test_an_exported_file_is_valid_and_has_its_sidecar(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "net.onnx"
    written = document("export", model, "--to", "onnx", "--out", path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    check = written.pop("check")
    assert (check["runtime"], check["problem"], check["unchecked"]) == ("onnxruntime", "", "")
    assert check["worst_error"] <= check["bound"]
    assert read_sidecar(path).check is not None
    assert written == {
        "file": str(path),
        "files": [str(path)],
        "bytes": path.stat().st_size,
        "numerics": "float32",
        "sidecar": str(path.with_suffix(".json")),
    }
    assert read_sidecar(path).classes == ("one", "two", "zero")


@pytest.mark.parametrize("to", FORMATS)
def test_each_format_is_the_file_of_its_runtime(to: str, model: Path, tmp_path: Path) -> None:
    runtime = runtime_of_format(to)
    path = tmp_path / f"net{runtime.suffix}"
    written = document("export", model, "--to", to, "--out", path)
    assert [Path(file).suffix for file in written["files"]] == [runtime.suffix, *runtime.companions]
    sidecar = read_sidecar(path)
    assert sidecar.bytes == written["bytes"] == sum(Path(file).stat().st_size for file in written["files"])
    assert ("(1, 8, 8, 1)" if to == "litert" else "(1, 1, 8, 8)") in sidecar.steps[-1]
    found = parity(load(model), path, torch.randn(4, 1, 8, 8, generator=torch.Generator()), runtime=runtime.name)
    assert found.worst_error < 1e-3
    for file in written["files"]:
        data = Path(file).read_bytes()
        Path(file).write_bytes(data + b" ")
        with pytest.raises(PocketcnnError, match=f"another file than {Path(file).name}"):
            read_sidecar(path)
        Path(file).write_bytes(data)


def test_it_lies_beside_the_model_file_if_no_place_is_given(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model.read_bytes())
    assert str(tmp_path / "copy.onnx") in succeed("export", copy).stdout
    assert (tmp_path / "copy.onnx").is_file()


def test_export_explains_mistakes(model: Path, onnx_file: Path) -> None:
    assert "There is no export format 'tflite'; choose one of onnx, openvino" in fail(
        2, "export", model, "--to", "tflite"
    )
    assert "is an ONNX file (.onnx); a model file" in fail(2, "export", onnx_file)


def test_files_are_timed_side_by_side(model: Path, onnx_file: Path) -> None:
    entries = document("bench", model, onnx_file, "--threads", "1,2", *QUICK)["entries"]
    assert [(entry["file"], entry["threads"]) for entry in entries] == [
        (str(file), threads) for threads in (1, 2) for file in (model, onnx_file)
    ]
    assert entries[0]["ratio"] == 1
    for entry in entries:
        latency = entry["latency"]
        assert 0 < latency["p10"] <= latency["median"] <= latency["p90"]
        assert latency["shape"] == [1, 1, 8, 8]
        assert latency["session"]["threads"] == entry["threads"]
        assert entry["ratio"] == pytest.approx(latency["median"] / entries[0]["latency"]["median"])


def test_a_line_holds_all_that_is_measured(model: Path, digits: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    options = ("--numerics", "float32,int8", "--images", digits, "--batch", 4, "--html", page)
    found = document("bench", model, "--runtime", "onnxruntime,openvino", *options, *QUICK)
    lines = {(line["numerics"], line["runtime"]): line for line in found["entries"]}
    assert list(lines) == [(form, name) for form in ("float32", "int8") for name in ("onnxruntime", "openvino")]
    for line in lines.values():
        assert line["reason"] == ""
        assert line["images_per_second"] > 0
        assert 0 < line["cold_start"]["import_bytes"] < line["cold_start"]["peak_bytes"]
        assert line["cold_start"]["launches"] == 1
        assert line["parity"]["images"] == 30
        assert line["parity"]["agreement"] >= 0.9
        assert line["parity"]["first_difference"] is None
    assert lines["int8", "onnxruntime"]["parity"]["float_agreement"] >= 0.5
    assert lines["int8", "onnxruntime"]["bytes"] < lines["float32", "onnxruntime"]["bytes"]
    text = page.read_text()
    assert "openvino" in text
    assert "<script" not in text
    assert not any("images are random" in note for note in found["notes"])


def test_a_network_of_the_zoo_is_timed_with_fresh_weights() -> None:
    found = document("bench", "mobilenet_v2", "--input", "1x16x16", "--width", "0.1", "--classes", 3, *QUICK)
    assert found["entries"][0]["latency"]["shape"] == [1, 1, 16, 16]
    assert any("images are random" in note for note in found["notes"])
    assert any("have random weights" in note for note in found["notes"])


def test_what_a_runtime_cannot_do_is_a_line_with_the_reason(model: Path) -> None:
    options = ("--runtime", "onnxruntime,torch", "--numerics", "int8", *QUICK)
    done, refused = document("bench", model, *options)["entries"]
    assert (done["runtime"], done["reason"]) == ("onnxruntime", "")
    assert (refused["runtime"], refused["latency"]) == ("torch", None)
    assert "only simulates int8" in refused["reason"]
    assert "Not measured" in succeed("bench", model, *options).stdout


def test_torch_runs_model_files(model: Path, onnx_file: Path) -> None:
    (entry,) = document("bench", model, "--runtime", "torch", "--batch", 4, *QUICK)["entries"]
    assert entry["latency"]["session"]["runtime"] == "torch"
    assert entry["latency"]["shape"] == [1, 1, 8, 8]
    assert entry["batch"] == 4
    assert "is not a file for torch" in fail(2, "bench", onnx_file, "--runtime", "torch")
    shown = invoke("bench", model, "--runtime", "torch", *QUICK).stdout
    assert "1.000 to 1.000" in shown


def test_bench_explains_mistakes(model: Path, tmp_path: Path) -> None:
    assert "Did you mean torch?" in fail(2, "bench", model, "--runtime", "tourch")
    assert "such as 1,2; not '1;2'" in fail(2, "bench", model, "--threads", "1;2")
    assert "no numerics 'int4'" in fail(2, "bench", model, "--numerics", "int4")
    assert "There is no folder" in fail(2, "bench", model, "--images", tmp_path / "absent")
    assert "no images in" in fail(2, "bench", model, "--images", tmp_path)
    assert "Did you mean mobilenet_v2 or" in fail(2, "bench", "mobilenetv2")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    assert f"ONNX Runtime cannot load {broken}" in fail(1, "bench", broken)


@pytest.mark.parametrize("text", ["", "0", "1,", "a", "-1", "1.5", "2000"])
def test_numbers_of_threads_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--threads takes numbers"):
        parse_threads(text)


def test_numbers_of_threads_are_taken_once() -> None:
    assert parse_threads("2, 1,2") == (2, 1)


def test_the_doctor_knows_what_is_installed() -> None:
    found = document("doctor")
    assert found["packages"]["torch"]
    assert found["runtimes"]["onnxruntime"]["usable"]
    assert found["runtimes"]["openvino"]["version"].startswith("20")
    assert found["runtimes"]["openvino"]["numerics"] == ["float32", "int8"]
    assert found["extras"]["samples"] == {"installed": True, "missing": []}
    assert isinstance(found["machine"]["has_vnni"], bool)
    assert "runtime onnxruntime" in succeed("doctor").stdout
