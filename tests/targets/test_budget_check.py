import dataclasses
import json

import pytest

from pocketcnn.targets import Budget, Figure, Limit, Quantity, closest_miss

SIZE, LATENCY, RAM, MACS = Quantity.SIZE, Quantity.LATENCY, Quantity.RAM, Quantity.MACS


def test_relative_limits_become_absolute_by_the_parent():
    budget = Budget.parse("macs<=50%, size<=300kB, latency<=80%@torch-cpu")
    resolved = budget.resolve({MACS: 80e6, LATENCY: 0.010})
    assert resolved.limits == (
        Limit(MACS, 40e6),
        Limit(SIZE, 300e3),
        Limit(LATENCY, 0.008, target="torch-cpu"),
    )
    assert resolved.resolve({}) == resolved


def test_resolving_needs_the_parents_figure():
    with pytest.raises(ValueError, match="macs<=50%"):
        Budget.parse("macs<=50%").resolve({SIZE: 1.0})


def test_each_limit_gets_a_verdict():
    budget = Budget.parse("size<=60kB, ram<=100kB")
    kept, missed = budget.check({SIZE: Figure.counted(60e3, "file"), RAM: Figure.counted(125e3, "liveness")})
    assert (kept.kept, kept.ratio) == (True, 1.0)
    assert (missed.kept, missed.ratio) == (False, 1.25)
    assert missed.limit is budget.limits[1]
    assert str(kept) == "size 60 kB, limit 60 kB: kept"
    assert str(missed) == "ram 125 kB, limit 100 kB: missed by 25 %"


def test_latency_is_kept_by_its_median_and_told_with_its_percentile():
    (verdict,) = Budget.parse("latency<=1ms").check({LATENCY: Figure(0.9e-3, 0.8e-3, 1.4e-3, "measured")})
    assert verdict.kept
    assert str(verdict) == "latency@onnxruntime-cpu 0.9 ms (90th percentile 1.4 ms), limit 1 ms: kept"


def test_each_target_is_judged_by_its_own_latency():
    budget = Budget.parse("latency<=1ms@torch-cpu, latency<=1ms@onnxruntime-cpu")
    fast, slow = (Figure(value, value, value, "measured") for value in (0.5e-3, 2e-3))
    verdicts = budget.check({(LATENCY, "torch-cpu"): slow, (LATENCY, "onnxruntime-cpu"): fast})
    assert [verdict.kept for verdict in verdicts] == [False, True]
    with pytest.raises(ValueError, match="latency<=1ms@torch-cpu"):
        budget.check({LATENCY: fast})


def test_figures_must_be_there_and_limits_absolute():
    with pytest.raises(ValueError, match="no figure was given for the limit ram<=1kB"):
        Budget.parse("ram<=1kB").check({SIZE: Figure.counted(1, "file")})
    with pytest.raises(ValueError, match="resolve the budget"):
        Budget.parse("size<=50%").check({SIZE: Figure.counted(1, "file")})


def test_the_closest_miss_is_judged_by_the_worst_limit():
    budget = Budget.parse("size<=100B, ram<=100B")
    candidates = [
        budget.check({SIZE: Figure.counted(size, "file"), RAM: Figure.counted(ram, "liveness")})
        for size, ram in [(101, 200), (120, 110), (110, 119), (10, 150)]
    ]
    assert closest_miss(candidates) == 2
    with pytest.raises(ValueError):  # noqa: PT011 - min() says it well
        closest_miss([])


def test_verdicts_are_json():
    verdicts = Budget.parse("latency<=1ms").check({LATENCY: Figure(2e-3, 1e-3, 3e-3, "measured")})
    told = json.loads(json.dumps([dataclasses.asdict(verdict) for verdict in verdicts]))
    assert told[0]["limit"] == {"quantity": "latency", "bound": 1e-3, "relative": False, "target": "onnxruntime-cpu"}
    assert told[0]["figure"]["high"] == 3e-3
    assert (told[0]["kept"], told[0]["ratio"]) == (False, 2.0)
