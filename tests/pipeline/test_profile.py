"""Profiling: the same points whether it is stopped or not, true to one machine, and predictions from the table."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.latency import profile as profiling
from pocketcnn.pipeline.latency.profile import profile
from pocketcnn.targets import Target, predict_latency
from pocketcnn.targets.latency import BlockLatency, LatencyTable, predictor
from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.kernels import split
from tests.support.fake_runtime import FakeClock, FakeRuntime, network_cost

TARGET = Target(name="fake", runtime="onnxruntime", threads=1, numerics=("float32", "int8"))
HELD_OUT = "3x96x96 conv:3,2,24,6 ir:3,2,96,32,0,6 ir:3,1,192,32,0,6 ir:5,2,192,64,16,2 conv:1,1,320,6 pool fc:100,0"


def faked(monkeypatch: pytest.MonkeyPatch, **options: str) -> FakeClock:
    clock = FakeClock()
    runtime = FakeRuntime(clock, **options)
    monkeypatch.setattr(profiling, "get_runtime", lambda name: runtime)
    monkeypatch.setattr(predictor, "get_runtime", lambda name: runtime)
    predictor._by_runtime.cache_clear()
    return clock


class Killed(Exception):
    """Stands for whatever ends the process."""


def killed_after(points: int) -> profiling.Progress:
    def progress(spent: float, budget: float, measured: int) -> None:
        if measured >= points:
            raise Killed

    return progress


def test_a_profile_that_was_stopped_goes_on_to_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(TARGET, tmp_path / "whole.json", seconds=12, clock=faked(monkeypatch))
    for points in (profiling.TOGETHER, 2 * profiling.TOGETHER):
        with pytest.raises(Killed):
            profile(
                TARGET, tmp_path / "parts.json", seconds=12, clock=faked(monkeypatch), progress=killed_after(points)
            )
        assert len(LatencyTable.load(tmp_path / "parts.json").points) == points
    profile(TARGET, tmp_path / "parts.json", seconds=12, clock=faked(monkeypatch))
    whole, parts = (LatencyTable.load(tmp_path / f"{name}.json") for name in ("whole", "parts"))
    same = min(len(whole.points), len(parts.points))
    assert whole.points[:same] == parts.points[:same]
    assert same > 20
    assert abs(len(whole.points) - len(parts.points)) <= profiling.TOGETHER


def test_the_table_is_saved_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def look(spent: float, budget: float, measured: int) -> None:
        if measured == 2 * profiling.TOGETHER:
            seen.append(len(LatencyTable.load(tmp_path / "t.json").points))

    monkeypatch.setattr(profiling, "SAVED_EVERY", 0.5)
    profile(TARGET, tmp_path / "t.json", seconds=8, clock=faked(monkeypatch), progress=look)
    assert seen[0] >= profiling.TOGETHER


def test_however_short_the_time_there_is_enough_to_predict_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = profile(TARGET, tmp_path / "t.json", seconds=0.1, clock=faked(monkeypatch))
    assert all(20 <= len(table.steady(form)) < 20 + profiling.TOGETHER for form in ("float32", "int8"))


def test_a_profile_whose_time_is_up_measures_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = profile(TARGET, tmp_path / "t.json", seconds=6, clock=faked(monkeypatch))
    again = profile(TARGET, tmp_path / "t.json", seconds=6, clock=faked(monkeypatch))
    assert again == LatencyTable.load(tmp_path / "t.json")
    assert len(again.points) == len(first.points)


def test_a_table_reads_back_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = profile(TARGET, tmp_path / "t.json", seconds=1, clock=faked(monkeypatch))
    back = LatencyTable.load(tmp_path / "t.json")
    assert back.conditions == table.conditions
    assert [point.blocks for point in back.points] == [point.blocks for point in table.points]
    assert back.points[0].median == pytest.approx(table.points[0].median, rel=1e-3)


def test_a_table_of_another_runtime_version_is_refused_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, network = tmp_path / "t.json", GraphNetwork(build(HELD_OUT, torch.zeros))
    profile(TARGET, path, seconds=8, numerics=("float32",), clock=faked(monkeypatch))
    clock = faked(monkeypatch, version="2.0")
    with pytest.raises(UsageError, match=r"the runtime onnxruntime 1\.0, not onnxruntime 2\.0.*--force"):
        predict_latency(network, TARGET, table=path)
    with pytest.raises(UsageError, match="--fresh"):
        profile(TARGET, path, seconds=8, clock=clock)
    assert predict_latency(network, TARGET, table=path, force=True).total > 0
    assert profile(TARGET, path, seconds=1, fresh=True, clock=clock).conditions.version == "2.0"


def test_predictions_in_both_numerics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, network = tmp_path / "t.json", GraphNetwork(build(HELD_OUT, torch.zeros))
    table = profile(TARGET, path, seconds=40, clock=faked(monkeypatch))
    assert table.numerics == ("float32", "int8")
    truth = network_cost([group.kernel for group in split(network.graph)])
    found = {form: predict_latency(network, TARGET, table=path, numerics=form) for form in table.numerics}
    assert found["float32"].total == pytest.approx(truth, rel=0.08)
    assert found["int8"].total == pytest.approx(truth / 2, rel=0.08)
    assert found["float32"].low < found["float32"].total < found["float32"].high
    parts = sum(layer.seconds for layer in found["float32"].layers)
    assert parts + found["float32"].overhead == pytest.approx(found["float32"].total)


def test_what_the_runtime_cannot_run_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = faked(monkeypatch, refuses="channel_shuffle")
    table = profile(TARGET, tmp_path / "t.json", seconds=12, numerics=("float32",), clock=clock)
    ran = [point for point in table.points if point.ran]
    assert 0 < len(ran) < len(table.points)
    assert [blocks for blocks, _ in table.steady("float32")] == [point.blocks for point in ran]


def test_a_slow_phase_of_the_machine_is_taken_out() -> None:
    here = LatencyTable("t", None)  # type: ignore[arg-type]
    usual = [BlockLatency(f"b{i}", "float32", 1.0, 1.0, 1.0, 9, 0.1) for i in range(400)]
    slow = [BlockLatency(f"s{i}", "float32", 1.5, 1.5, 1.5, 9, 0.15) for i in range(300)]
    steady = dict(here.extended([*usual, *slow], 1.0).steady("float32"))
    assert steady["b5"] == pytest.approx(1.0)
    assert steady["s200"] == pytest.approx(1.0)


def test_a_machine_that_is_never_quiet_makes_the_interval_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, network = tmp_path / "t.json", GraphNetwork(build(HELD_OUT, torch.zeros))
    table = profile(TARGET, path, seconds=8, numerics=("float32",), clock=faked(monkeypatch))
    quiet = predict_latency(network, TARGET, table=path)
    restless = replace(table, points=tuple(replace(point, p90=point.p90 * 1.5) for point in table.points))
    assert restless.spread("float32") > table.spread("float32") + 0.1
    restless.save(tmp_path / "r.json")
    noisy = predict_latency(network, TARGET, table=tmp_path / "r.json")
    assert noisy.high / noisy.low > 1.3 * quiet.high / quiet.low
    assert table.spread("int8") == 0


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', '{"format": 1, "points": [[1]]}'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(UsageError, match="is not a latency table"):
        LatencyTable.load(tmp_path / "t.json")


def test_numerics_that_the_target_lacks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGET.model_copy(update={"numerics": ("float32",)})
    with pytest.raises(UsageError, match="runs float32 on onnxruntime, not int8"):
        profile(target, tmp_path / "t.json", numerics=("int8",), clock=faked(monkeypatch))
