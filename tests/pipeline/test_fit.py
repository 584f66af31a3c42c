"""`fit` from end to end, on few images and with little training."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketcnn.data import ImageDataset, scan
from pocketcnn.errors import Interrupted, UsageError
from pocketcnn.graph import predictions
from pocketcnn.graph.model_file import load
from pocketcnn.pipeline.fit.fit import fit
from pocketcnn.pipeline.sidecar import read_sidecar
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.records.result import FitResult
from pocketcnn.runtimes import get_runtime
from tests.support.pipeline import BUDGET, NETWORKS, TINY

Fitted = tuple[FitResult, Path]


def test_it_leaves_the_files_it_promises(fitted: Fitted) -> None:
    _, out = fitted
    assert {path.name for path in out.iterdir()} == {
        "model.safetensors",
        "model.onnx",
        "model.json",
        "predict.py",
        "result.json",
        "report.html",
        "stages.csv",
    }


def test_the_budget_is_kept_by_the_file_as_it_lies_there(fitted: Fitted) -> None:
    result, out = fitted
    assert result.met
    assert result.closest_miss == ""
    limits = {limit.quantity: limit for limit in result.limits}
    assert set(limits) == {"size", "latency", "ram"}
    assert limits["size"].value == (out / "model.onnx").stat().st_size == result.artefact.bytes <= 58000
    latency = limits["latency"]
    assert 0 < latency.low <= latency.value <= latency.high
    assert all(limit.kept for limit in result.limits)


def test_result_json_is_the_result(fitted: Fitted) -> None:
    result, out = fitted
    assert FitResult.model_validate_json((out / "result.json").read_text()) == result


def test_the_integer_file_was_needed_and_each_stage_is_recorded_with_its_accuracy(fitted: Fitted) -> None:
    result, _ = fitted
    assert result.artefact.numerics == "int8"
    names = [stage.name for stage in result.stages]
    assert names[0] == "trained"
    assert any(name.startswith("quantized") for name in names)
    assert [stage.name for stage in result.lineage] == names
    assert all(0 <= stage.test.low <= stage.test.top1 <= stage.test.high <= 1 for stage in result.stages)
    assert result.stages[0].validation.top1 > 0.8  # it learned something: three classes


def test_accuracy_is_that_of_the_file_on_the_test_images(fitted: Fitted, digits: Path) -> None:
    result, out = fitted
    folder = scan(digits, seed=0)
    images, labels = ImageDataset(folder.test, result.input).as_tensors()
    session = get_runtime("onnxruntime").build(out / "model.onnx", threads=1)
    right = int((session.run(images.numpy()).argmax(1) == labels.numpy()).sum())
    session.close()
    assert result.artefact.accuracy.images == len(folder.test)
    assert result.artefact.accuracy.top1 == pytest.approx(right / len(folder.test))
    assert np.trace(np.array(result.artefact.confusion)) == right
    assert np.array(result.artefact.confusion).sum() == len(folder.test)


def test_the_model_file_says_what_the_artefact_says(fitted: Fitted, digits: Path) -> None:
    result, out = fitted
    network = load(out / "model.safetensors")
    images, _ = ImageDataset(scan(digits, seed=0).val, result.input).as_tensors()
    session = get_runtime("onnxruntime").build(out / "model.onnx", threads=1)
    same = predictions(network, images).argmax(1) == torch.from_numpy(session.run(images.numpy())).argmax(1)
    session.close()
    assert float(same.float().mean()) == pytest.approx(result.parity.agreement)
    assert result.parity.agreement >= 0.95
    assert network.info.classes == result.data.classes
    assert network.info.input == result.input


def test_the_sidecar_suffices_to_run_the_file_without_pocketcnn(fitted: Fitted, digits: Path, tmp_path: Path) -> None:
    result, out = fitted
    folder = scan(digits, seed=0)
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys, numpy as np, onnxruntime\n"
        "from PIL import Image\n"
        "side = json.load(open(sys.argv[1])); contract = side['input']\n"
        "assert contract['resize'] == 'stretch' and contract['channels'] == 1\n"
        "session = onnxruntime.InferenceSession(sys.argv[2], providers=['CPUExecutionProvider'])\n"
        "for path in sys.argv[3:]:\n"
        "    size = (contract['width'], contract['height'])\n"
        "    image = Image.open(path).convert('L').resize(size, Image.Resampling.BILINEAR)\n"
        "    x = (np.asarray(image, np.float32) / 255 - contract['mean'][0]) / contract['std'][0]\n"
        "    (logits,) = session.run(None, {'input': x[None, None].astype(np.float32)})\n"
        "    print(side['classes'][int(logits[0].argmax())])\n"
        "assert 'pocketcnn' not in sys.modules\n"
    )
    files = [str(sample.path) for sample in folder.test]
    done = subprocess.run(
        [sys.executable, script, out / "model.json", out / "model.onnx", *files],
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.split()
    right = sum(word == folder.classes[sample.label] for word, sample in zip(said, folder.test, strict=True))
    assert right / len(files) == pytest.approx(result.artefact.accuracy.top1)


def test_the_sidecar_describes_this_very_file(fitted: Fitted) -> None:
    result, out = fitted
    sidecar = read_sidecar(out / "model.onnx")
    assert sidecar.sha256 == result.artefact.sha256
    assert sidecar.figures["test_accuracy"] == result.artefact.accuracy.top1
    assert json.loads((out / "model.json").read_text())["classes"] == ["0", "1", "4"]


def test_the_report_tells_of_the_small_image_form_and_of_every_candidate(fitted: Fitted) -> None:
    result, out = fitted
    page = (out / "report.html").read_text()
    assert any("variant for small images" in note for note in result.notes)
    assert all(candidate.name in page for candidate in result.candidates)
    assert sum(candidate.chosen for candidate in result.candidates) == 1


def test_a_budget_out_of_reach_still_gives_the_closest_file(digits: Path, tmp_path: Path) -> None:
    tiny = TINY.__class__(candidates=1, rounds=(2,), final_steps=4, recovery_steps=2, quantized_steps=2, min_epochs=1)
    result = fit(digits, "size<=3kB", tmp_path, effort=tiny, networks=("mobilenet_v1",))
    assert not result.met
    assert "size" in result.closest_miss
    assert "limit 3 kB" in result.closest_miss
    assert (tmp_path / "model.onnx").stat().st_size == result.artefact.bytes > 3000
    assert load(tmp_path / "model.safetensors").numerics


def test_a_fit_that_was_stopped_goes_on_and_ends_the_same(
    fitted: Fitted, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = []
    original = Workspace.train

    def stopping(self: Workspace, stage: str, *args: object, **options: object) -> object:
        trainings.append(stage)
        if stage == "final" and trainings.count("final") == 1:
            raise Interrupted("Ctrl-C")
        return original(self, stage, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Workspace, "train", stopping)
    with pytest.raises(Interrupted):
        fit(digits, BUDGET, tmp_path, effort=TINY, networks=NETWORKS)
    assert (tmp_path / "work").is_dir()
    result = fit(digits, BUDGET, tmp_path, effort=TINY, networks=NETWORKS)
    assert not (tmp_path / "work").exists()
    reference, _ = fitted
    assert result.artefact.sha256 == reference.artefact.sha256
    assert [c.rounds for c in result.candidates] == [c.rounds for c in reference.candidates]


def test_unknown_names_are_refused_before_anything_is_trained(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mobilenet_v9"):
        fit(digits, "size<=60kB", tmp_path, networks=("mobilenet_v9",))
    with pytest.raises(UsageError, match="no effort 'huge'"):
        fit(digits, "size<=60kB", tmp_path, effort="huge")
    assert not list(tmp_path.iterdir())
