"""No accuracy without what it is compared with: the most frequent class, guessing, and the classes one by one."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pocketcnn.pipeline.accuracy_check import is_near_chance
from pocketcnn.pipeline.deploy.finish import EXAMPLES, MOST_EXAMPLES, shown_images
from pocketcnn.records.baselines import Baselines
from pocketcnn.records.result import Accuracy, FitResult
from pocketcnn.records.verdict import Verdict, verdict_of
from pocketcnn.training import wilson_interval
from tests.support.cli import document, invoke, succeed

MATRICES = st.integers(2, 5).flatmap(
    lambda classes: st.lists(
        st.lists(st.integers(0, 30), min_size=classes, max_size=classes), min_size=classes, max_size=classes
    )
).filter(lambda matrix: sum(map(sum, matrix)) > 0)  # fmt: skip


def low_of(matrix: list[list[int]]) -> float:
    return wilson_interval(sum(row[place] for place, row in enumerate(matrix)), sum(map(sum, matrix)))[0]


@given(matrix=MATRICES)
def test_baselines_are_what_their_names_say(matrix: list[list[int]]) -> None:
    found = Baselines.of(matrix, low_of(matrix))
    labels = [true for true, row in enumerate(matrix) for count in row for _ in range(count)]
    assert found.majority == pytest.approx(max(labels.count(each) for each in set(labels)) / len(labels))
    assert found.random == pytest.approx(1 / len(matrix))
    recalls = [row[place] / sum(row) for place, row in enumerate(matrix) if sum(row)]
    assert found.mean_recall == pytest.approx(sum(recalls) / len(recalls))
    assert len(found.never_recognised) == recalls.count(0.0)
    right = sum(row[place] for place, row in enumerate(matrix))
    low, high = wilson_interval(right, len(labels))
    warned = is_near_chance(Accuracy(top1=right / len(labels), low=low, high=high, images=len(labels)), found.majority)
    assert found.better != warned  # one rule for the record, the warning and the exit code
    assert not found.better or low > found.majority


def test_the_most_frequent_class_alone_is_not_better() -> None:
    found = Baselines.of([[44, 0, 0], [30, 0, 0], [31, 0, 0]], wilson_interval(44, 105)[0])
    assert not found.better
    assert found.never_recognised == (1, 2)
    assert found.words(["recreation", "people", "plants"]) == (
        "always the most frequent class 41.9 %, guessing 33.3 %; mean of the classes 33.3 %; never recognised: people, plants"
    )


@given(
    labels=st.lists(st.integers(0, 30), min_size=1, max_size=300),
    wrong=st.lists(st.booleans(), min_size=300, max_size=300),
)
def test_the_gallery_shows_every_class_and_mistakes_first(labels: list[int], wrong: list[bool]) -> None:
    predicted = [label + mistaken for label, mistaken in zip(labels, wrong, strict=False)]
    shown = shown_images(labels, predicted)
    assert len(shown) == len(set(shown)) == min(len(labels), max(EXAMPLES, len(set(labels))))
    assert {labels[index] for index in shown} == set(labels)
    for label in set(labels):
        mistaken = [index for index, each in enumerate(labels) if each == label and predicted[index] != label]
        of_class = [index for index in shown if labels[index] == label]
        assert set(of_class) <= set(mistaken) or set(mistaken) <= set(of_class)


def test_the_gallery_of_very_many_classes_is_limited() -> None:
    assert len(shown_images(list(range(1000)), [0] * 1000)) == MOST_EXAMPLES


def told(*command: object) -> str:
    """The message of a command that ends with the exit code for a low accuracy, after its ordinary output."""
    result = invoke(*command)
    assert result.exit_code == 4, result.stderr
    assert result.stdout
    return result.stderr


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without anything to learn: 24 of one class, 6 and 6 of two others."""
    root = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name, count in {"many": 30, "few": 8, "fewer": 8}.items():
        (root / name).mkdir()
        for number in range(count):
            Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(root / name / f"{number:02}.png")
    return root


def test_what_cannot_be_learned_is_said_and_has_an_exit_code(noise: Path, tmp_path: Path) -> None:
    train = ("train", noise, "--network", "mobilenet_v2", "--width", "0.1", "--epochs", "1")
    message = told(*train, "--out", tmp_path / "strict", "--require-accuracy")
    assert "always predicting the most frequent class gives 66.7 %" in message
    shown = succeed(*train, "--out", tmp_path / "lenient").stdout
    assert "WARNING: " in shown
    assert "most frequent class gives 66.7 %" in " ".join(shown.split())
    assert len(json.loads((tmp_path / "lenient" / "training.json").read_text())["test"]["warnings"]) == 1
    assert "always the most frequent class 66.7 %, guessing 33.3 %" in " ".join(shown.split())
    model = tmp_path / "strict" / "model.safetensors"  # the file is there all the same
    assert "most frequent class" in told("eval", model, noise, "--require-accuracy")
    evaluated = document("eval", model, noise)
    assert len(evaluated["warnings"]) == 1
    found = evaluated["baselines"]
    assert found["majority"] == pytest.approx(2 / 3)
    assert set(found) == {"majority", "random", "mean_recall", "never_recognised", "better"}


def test_fit_says_so_loudly_in_terminal_report_and_json(noise: Path, tmp_path: Path) -> None:
    out = tmp_path / "fit"
    fit = ("fit", noise, "--budget", "size<=100kB", "--effort", "quick", "--out", out, "--require-accuracy")
    ended = invoke(*fit)
    assert ended.exit_code == 4, ended.stderr
    shown, message = ended.stdout, ended.stderr
    verdict = "Budget met, but the file is not clearly better than always answering the most frequent class"
    assert f"✗ {verdict}" in " ".join(shown.split())
    assert re.search(r"size<=100kB +[\d.]+ kB +\d+ %", shown)  # the share of the limit
    assert "always predicting the most frequent class gives 66.7 %" in message
    report = (out / "report.html").read_text(encoding="utf-8")
    assert f"<h2>✗ {verdict}</h2>" in report
    assert 'class="verdict not-met"' in report
    assert "✓ Budget met" not in report
    assert "near chance" in report[: report.index("</title>")]
    assert all(f"test image of class {name}" in report for name in ("many", "few", "fewer"))
    result = json.loads((out / "result.json").read_text())
    assert result["artefact"]["baselines"]["better"] is False
    assert result["verdict"] == "near chance"
    assert FitResult.model_validate_json((out / "result.json").read_text()).verdict is Verdict.NEAR_CHANCE
    assert any("chance" in warning for warning in result["warnings"])


@given(st.booleans(), st.booleans(), st.integers(0, 3))
def test_only_a_useful_result_without_warnings_has_the_tick(met: bool, better: bool, warnings: int) -> None:
    baselines = Baselines(majority=0.5, random=0.5, mean_recall=0.5, better=better)
    found = verdict_of(met=met, baselines=baselines, warnings=("a warning",) * warnings)
    assert (found.mark == "✓") == (met and better and not warnings)
    assert (found is Verdict.NOT_MET) == (not met)
    assert (found is Verdict.NEAR_CHANCE) == (met and not better)
