"""The comparison of criteria: every method of ours meets the bound, and the page says what the JSON says."""

from typing import Any

import pytest

from benchmarks.compression.pruning_table.page import page


def row(method: str, share: float, seed: int, top1: float | None, network: str = "net") -> dict[str, Any]:
    told: dict[str, Any] = {"network": network, "method": method, "share": share, "seed": seed}
    if top1 is None:
        return {**told, "failed": "Error: cannot trace"}
    return {**told, "top1": top1, "before": top1 / 2, "madds": 1_500_000, "madds_kept": share, "params_kept": share}


@pytest.fixture
def document() -> dict[str, Any]:
    rows = [row("unpruned", 1.0, seed, 0.98) for seed in (0, 1)]
    for seed, accuracy in ((0, 0.9), (1, 0.92)):
        rows += [row("fpgm", 0.5, seed, accuracy), row("Torch-Pruning, fpgm", 0.5, seed, accuracy + 0.01)]
        rows += [row("fpgm", 0.3, seed, accuracy - 0.1), row("Torch-Pruning, fpgm", 0.3, seed, None)]
        rows += [row("energy", 0.5, seed, 0.96), row("energy", 0.3, seed, 0.95)]
    told = {
        "side": 16,
        "train": 1100,
        "test": 447,
        "recovery_steps": 70,
        "multiple": 4,
        "evidence": 512,
        "seconds": 130,
    }
    return {**told, "machine": {"cpu": "a processor"}, "rows": rows}


def test_the_page_says_where_ours_loses(document: dict[str, Any]) -> None:
    text = page(document)
    assert "ours is at least as accurate as Torch-Pruning's in 0 of 2 cases; behind in net at 50%" in text
    assert "Torch-Pruning has no result in net at 30%" in text
    assert "| fpgm | 91.0% (90.0% to 92.0%) | 81.0% (80.0% to 82.0%) |" in text
    assert "| Torch-Pruning, fpgm | 92.0% (91.0% to 93.0%) | no result |" in text
    assert "| energy | 48.0% (48.0% to 48.0%) | 47.5% (47.5% to 47.5%) |" in text
    assert text.count("Error: cannot trace") == 1
    assert text.index("energy 95.5%") < text.index("fpgm 86.0%")
    assert "Unpruned: 98.0% (98.0% to 98.0%) at 1.50 M multiply-adds." in text
