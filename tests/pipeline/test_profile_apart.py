"""A profile outlives its runtime: what crashes it is noted and left out, the rest is measured."""

from pathlib import Path

import pytest

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.pipeline.latency import profile_apart as apart
from pocketcnn.pipeline.latency.profile import profile
from pocketcnn.pipeline.latency.profile_apart import profile_apart
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.latency import LatencyTable, predictor
from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.kernels import split
from tests.support import crashing_profile
from tests.support.fake_runtime import FakeClock, FakeRuntime

TARGET = Target(name="fake", runtime="onnxruntime", threads=1, numerics=("float32",))


@pytest.fixture(autouse=True)
def fake_circumstances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "get_runtime", lambda name: FakeRuntime(FakeClock()))
    predictor._by_runtime.cache_clear()


def test_blocks_that_crash_the_runtime_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_work", crashing_profile.crashing)
    told: list[int] = []
    table = profile_apart(
        TARGET, tmp_path / "t.json", seconds=8, progress=lambda spent, budget, points: told.append(points)
    )
    assert table == LatencyTable.load(tmp_path / "t.json")
    fatal = [point for point in table.points if not point.ran]
    assert 0 < len(fatal) < len(table.points) / 3
    kinds = {kind for point in fatal for kind in _kinds(point.blocks)}
    assert crashing_profile.FATAL in kinds
    assert all(crashing_profile.FATAL in _kinds(point.blocks) for point in fatal)
    assert not any(crashing_profile.FATAL in _kinds(point.blocks) for point in table.points if point.ran)
    assert told == sorted(told) or len(told) > len(table.points) / 2


def test_a_runtime_that_runs_nothing_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_work", crashing_profile.always_crashing)
    with pytest.raises(PocketcnnError, match="fake crashed before it ran anything"):
        profile_apart(TARGET, tmp_path / "t.json", seconds=5)


def test_a_mistake_is_told_as_by_the_profile_itself(tmp_path: Path) -> None:
    predictor._by_runtime.cache_clear()
    with pytest.raises(PocketcnnError, match=r"runs float32 on onnxruntime, not int8") as told:
        profile_apart(TARGET, tmp_path / "t.json", numerics=("int8",))
    assert told.value.exit_code == UsageError.exit_code


@pytest.mark.slow
def test_a_real_runtime_is_measured_in_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    target = load_target("onnxruntime-cpu")
    table = profile_apart(target, tmp_path / "t.json", seconds=8)
    assert sum(point.ran for point in table.points) >= 40
    assert profile(target, tmp_path / "t.json", seconds=8) == table


def _kinds(blocks: str) -> set[str]:
    return {group.kernel.kind for group in split(build(blocks))}
