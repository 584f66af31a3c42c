from pathlib import Path

import pytest

from pocketcnn.errors import PocketcnnError
from pocketcnn.runtimes import StopRule, get_runtime
from pocketcnn.runtimes import side_by_side as module
from pocketcnn.runtimes.onnxruntime_runtime import OnnxSession
from pocketcnn.runtimes.side_by_side import BenchmarkCase, BenchmarkPlan, Reference, side_by_side
from tests.support.runtime_networks import SHAPE, float_network, images, int8_network

QUICK = StopRule(max_seconds=0.05, min_seconds=0.0, warmup_seconds=0.0, min_repeats=5)


def case(
    folder: Path, runtime: str = "onnxruntime", *, numerics: str = "float32", reference: bool = True
) -> BenchmarkCase:
    network = float_network() if numerics == "float32" else int8_network()
    path = folder / f"{numerics}-{runtime}{get_runtime(runtime).suffix}"
    get_runtime(runtime).write(network, path)
    return BenchmarkCase("net", numerics, runtime, path, SHAPE, Reference(network, images(6)) if reference else None)


def test_everything_is_measured_on_each_number_of_threads(tmp_path: Path) -> None:
    cases = [case(tmp_path), case(tmp_path, "openvino"), case(tmp_path, numerics="int8")]
    said: list[str] = []
    lines = side_by_side(cases, BenchmarkPlan(threads=(1, 2), batch=3, launches=2, rule=QUICK), said.append)
    assert [(line.threads, line.runtime, line.numerics) for line in lines] == [
        (threads, each.runtime, each.numerics) for threads in (1, 2) for each in cases
    ]
    assert lines[0].ratio == 1
    assert lines[0].ratio_interval == (1, 1)
    for line, each in zip(lines, cases * 2, strict=True):
        assert line.reason == ""
        assert line.latency is not None
        assert line.latency.shape == (1, *SHAPE)
        assert line.latency.session.threads == line.threads
        assert line.ratio == pytest.approx(line.latency.median / lines[0].latency.median)
        assert line.images_per_second is not None
        assert line.cold_start is not None
        assert line.cold_start.launches == 2
        assert line.parity is not None
        assert line.parity.agreement == 1
        assert each.artefact is not None
        assert line.bytes == each.artefact.stat().st_size
    assert said[:2] == ["Measuring cold starts, round 1 of 2", "Measuring cold starts, round 2 of 2"]
    assert said[-1] == "Timing 6 sessions, interleaved"


def test_one_image_a_call_needs_no_second_measurement(tmp_path: Path) -> None:
    (line,) = side_by_side([case(tmp_path, reference=False)], BenchmarkPlan(launches=1, rule=QUICK))
    assert line.latency is not None
    assert line.images_per_second == pytest.approx(1 / line.latency.median)
    assert line.parity is None


def test_what_cannot_be_done_is_a_line_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, a file that no process can run, one of another network, and one that fails only here."""
    broken, other = tmp_path / "broken.onnx", tmp_path / "other.onnx"
    broken.write_bytes(b"no network")
    good = case(tmp_path, reference=False)
    get_runtime("onnxruntime").write(float_network(), other)
    cases = [
        BenchmarkCase("absent", "int8", "torch", None, reason="torch does not do that"),
        BenchmarkCase("broken", "float32", "onnxruntime", broken),
        BenchmarkCase("other", "float32", "onnxruntime", other, SHAPE, Reference(float_network(), images(0))),
        good,
    ]
    lines = side_by_side(cases, BenchmarkPlan(launches=1, rule=QUICK))
    reasons = [line.reason for line in lines]
    assert reasons[0] == "torch does not do that"
    assert reasons[1].startswith(f"ONNX Runtime cannot load {broken}")
    assert "at least one image" in reasons[2]
    assert reasons[3] == ""
    assert [line.latency is None for line in lines] == [True, True, True, False]
    assert lines[1].bytes == len(b"no network")
    assert lines[3].ratio == 1

    def refuse(self: OnnxSession, batch: object) -> None:
        raise PocketcnnError("not in this process")

    monkeypatch.setattr(OnnxSession, "run", refuse)
    (line,) = side_by_side([good], BenchmarkPlan(launches=1, rule=QUICK))
    assert (line.reason, line.latency) == ("not in this process", None)
    assert line.cold_start is not None


def test_sessions_are_closed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(OnnxSession, "close", lambda _: closed.append(None))
    monkeypatch.setattr(module, "_compared", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        side_by_side([case(tmp_path, reference=False)], BenchmarkPlan(threads=(1, 2), launches=1, rule=QUICK))
    assert closed == [None, None]
