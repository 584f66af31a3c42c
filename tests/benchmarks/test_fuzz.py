"""The fuzzing of files at a small size: damage follows from the seed, and what fails is seen as a failure."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzzing import runner
from benchmarks.fuzzing.damage import of_bytes, of_document, of_text
from benchmarks.fuzzing.subjects import RECIPE, SUBJECTS
from pocketcnn.errors import UsageError


@pytest.mark.parametrize("kind", ["recipe", "target", "space", "latency table", "study"])
def test_damaged_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    subject = SUBJECTS[kind]
    good = subject.examples(tmp_path)
    counted = {"read": 0, "refused": 0}
    for number in range(20):
        path = tmp_path / f"case{subject.suffix}"
        path.write_bytes(subject.damaged(good[number % len(good)], Random(number)))
        outcome, what = runner._outcome(subject.use, path)
        assert outcome in counted, what
        counted[outcome] += 1
    assert counted["refused"]


def test_damage_follows_from_the_seed() -> None:
    document = {"a": [1, 2, {"b": "c"}], "d": 0.5}
    for seed in range(30):
        assert of_text(RECIPE, Random(seed)) == of_text(RECIPE, Random(seed))
        assert of_bytes(b"0123456789" * 9, Random(seed)) == of_bytes(b"0123456789" * 9, Random(seed))
        assert of_document(document, Random(seed)) == of_document(document, Random(seed))
    assert document == {"a": [1, 2, {"b": "c"}], "d": 0.5}
    assert len({of_text(RECIPE, Random(seed)) for seed in range(30)}) > 20


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UsageError("what was wrong"), "refused"),
        (UsageError(""), "traceback"),
        (KeyError("x"), "traceback"),
        (MemoryError(), "memory"),
        (RuntimeError("not enough memory: you tried to allocate 9 bytes"), "memory"),
        (None, "read"),
    ],
)
def test_each_end_is_told_from_the_others(error: Exception | None, outcome: str, tmp_path: Path) -> None:
    def use(_path: Path) -> None:
        if error is not None:
            raise error

    assert runner._outcome(use, tmp_path)[0] == outcome


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_process_of_its_own_counts_every_case(kind: str, tmp_path: Path) -> None:
    counted, failures, _ = runner.fuzzed(kind, 300, 11, tmp_path)
    assert sum(counted.values()) == 300
    assert not failures
