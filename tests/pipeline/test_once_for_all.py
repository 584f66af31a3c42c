"""One training, several networks: from a folder of images to a deployable file for each budget."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pocketcnn.cost import count
from pocketcnn.data import ImageDataset, infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph.model_file import load
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.pipeline.candidates import worst_miss
from pocketcnn.pipeline.effort import EFFORTS
from pocketcnn.pipeline.fit import parents
from pocketcnn.pipeline.fit.fit import fit
from pocketcnn.pipeline.search.once_for_all import OnceForAll, folder_name, once_for_all
from pocketcnn.pipeline.search.supernet import graph_of, supernet_plan
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.targets import Budget
from pocketcnn.training import evaluate
from tests.support import once_for_all as supernet_run
from tests.support.once_for_all import BUDGETS, EFFORT, PLAN, run

Done = tuple[OnceForAll, Path]


@pytest.fixture(scope="module")
def done(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The networks of two budgets, and the folder."""
    out = tmp_path_factory.mktemp("once")
    return run(digits, out), out


def test_each_budget_has_its_files_and_is_kept(done: Done) -> None:
    found, out = done
    assert {path.name for path in out.iterdir()} == {
        "supernet.safetensors",
        "once_for_all.json",
        "macs-150k",
        "macs-90k_params-7k",
    }
    for result, folder in zip(found.results, found.folders, strict=True):
        assert result.met
        assert {path.name for path in folder.iterdir()} == {
            "model.safetensors", "model.onnx", "model.json", "predict.py", "result.json", "report.html", "stages.csv"
        }  # fmt: skip
        assert sum(candidate.chosen for candidate in result.candidates) == 1
        assert result.stages[0].name == "sub-network"
        assert result.parity.agreement == 1.0


def test_the_network_is_the_one_that_the_record_names(done: Done, digits: Path) -> None:
    found, out = done
    record = json.loads((out / "once_for_all.json").read_text())
    assert [each["budget"] for each in record["budgets"]] == list(BUDGETS)
    assert len(record["samples"]) == EFFORT.supernet.subnetworks
    for each, result, folder in zip(record["budgets"], found.results, found.folders, strict=True):
        choice = Subnetwork.from_dict(each["choice"])
        network = load(folder / "model.safetensors")
        assert count(PLAN.build(choice), (1, 1, 8, 8)).madds == count(network).madds == result.stages[0].madds
        test = ImageDataset(scan(digits, seed=0).test, result.input)
        assert evaluate(network, test).top1 == pytest.approx(result.artefact.accuracy.top1)


def test_another_budget_takes_its_network_without_any_training(
    done: Done, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(done[0].supernet, tmp_path)
    monkeypatch.setattr(Workspace, "train", lambda *_args, **_options: pytest.fail("something was trained"))
    found = once_for_all(digits, "macs<=110k", tmp_path, effort=EFFORT, plan=PLAN, fine_tune=False)
    assert found.results[0].met
    assert [stage.name for stage in found.results[0].stages] == ["sub-network"]
    assert found.folders == (tmp_path,)
    assert (tmp_path / "supernet.safetensors").read_bytes() == done[0].supernet.read_bytes()


def test_a_supernet_of_other_images_or_settings_is_not_taken(done: Done, digits: Path) -> None:
    _, out = done
    with pytest.raises(UsageError, match="trained on other images or with other settings"):
        once_for_all(digits, BUDGETS, out, effort=EFFORT, plan=PLAN, seed=1)


def test_wrong_use_is_refused_before_anything_is_trained(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no supernet schedule 'backwards'"):
        once_for_all(digits, "macs<=1M", tmp_path, schedule="backwards")
    with pytest.raises(UsageError, match="no budget twice"):
        once_for_all(digits, ["macs<=1M", "macs<=1M"], tmp_path)
    plan = replace(PLAN, classes=10)
    with pytest.raises(UsageError, match="for 10 classes"):
        once_for_all(digits, "macs<=1M", tmp_path, effort=EFFORT, plan=plan)
    assert not (tmp_path / "supernet.safetensors").exists()


def test_what_was_killed_goes_on_and_ends_the_same(done: Done, digits: Path, tmp_path: Path) -> None:
    script = Path(supernet_run.__file__)
    process = subprocess.Popen([sys.executable, script, digits, tmp_path])
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("work/*/supernet, elastic kernel/checkpoints/step-*.pt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "supernet.safetensors").exists()
    found, reference = run(digits, tmp_path), done[0]
    assert not (tmp_path / "work").exists()
    assert [result.artefact.sha256 for result in found.results] == [
        result.artefact.sha256 for result in reference.results
    ]


def test_fit_takes_its_candidates_from_a_supernet_and_netadapt_prunes(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parents, "supernet_plan", lambda *_args: PLAN)
    said: list[str] = []
    result = fit(digits, "macs<=120k", tmp_path, effort=EFFORT, say=said.append)
    assert result.met
    assert {candidate.network for candidate in result.candidates} == {"once-for-all"}
    assert result.stages[0].name == "trained"
    assert "choice" in result.lineage[0].settings
    over = result.stages[0].madds > 120_000
    assert (tmp_path / "automatic" / "netadapt 1.json").is_file() == over
    assert any(line.startswith("6 sub-networks without training") for line in said)


def test_only_high_effort_takes_the_supernet_and_who_names_networks_wants_those() -> None:
    assert {name: effort.source for name, effort in EFFORTS.items()} == {
        "quick": "zoo", "low": "zoo", "medium": "zoo", "high": "supernet"
    }  # fmt: skip


@pytest.mark.parametrize("text", ["macs<=300k"])
def test_the_supernet_has_room_above_and_below_the_budget(digits: Path, text: str) -> None:
    budget = Budget.parse(text)
    plan = supernet_plan(infer_contract(scan(digits, seed=0)), 3, [budget])
    assert worst_miss(graph_of(plan, plan.smallest), budget) < 1
    assert worst_miss(graph_of(plan, plan.largest), budget) > 1


def test_a_folder_is_named_after_its_budget() -> None:
    budget = Budget.parse("size<=60kB, latency<=1ms@onnxruntime-cpu")
    assert folder_name(budget) == "size-60kB_latency-1ms@onnxruntime-cpu"
