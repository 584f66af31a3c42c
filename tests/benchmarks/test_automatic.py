"""The benchmark of automatic compression: its page is a function of its lines, and a small cell really runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compression import automatic
from benchmarks.compression.automatic_table.cells import run
from benchmarks.compression.automatic_table.material import build
from benchmarks.compression.automatic_table.methods import METHODS, counts_at_bound
from benchmarks.compression.automatic_table.page import page
from benchmarks.compression.automatic_table.setting import CPU, NETWORKS, SETTINGS
from benchmarks.compression.automatic_table.task import Cell, Task

FIGURES = {"madds": 50, "latency": 1.0, "latency_ratio": 0.5, "seconds": 1.0, "before_recovery": 0.5}


def document(seed: int, **accuracies: float | str) -> dict[str, Any]:
    methods: dict[str, Any] = {"unpruned": {"top1": 0.99, "madds": 100, "latency": 2.0, "latency_ratio": 1.0}}
    for name, value in accuracies.items():
        given = name.replace("_", "-")
        methods[given] = {"failed": value} if isinstance(value, str) else {"top1": value, **FIGURES}
    cell = {"dataset": "digits", "network": "resnet18", "resource": "madds", "share": 0.5, "seed": seed}
    return {**cell, "setting": "cpu", "bound": 50, "methods": methods}


def test_the_page_shows_means_spreads_winners_failures_and_what_has_run() -> None:
    text = page(
        [
            document(0, rank=0.9, netadapt=0.96, torch_pruning=0.93, uniform=0.8),
            document(1, rank=0.8, netadapt=0.94, torch_pruning=0.96, uniform="no"),
        ]
    )
    assert "### 50% of the multiply-adds" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| resnet18 | digits | 2 |") and "±" in line]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[3:] == ["99.0% ± 0.0", "-", "85.0% ± 7.1", "**95.0% ± 1.4**", "-", "80.0%", "-", "-", "94.5% ± 2.1"]
    assert "| netadapt | torch-pruning | 2 | +0.50 (-2.0 to +3.0) | 1 of 2 | 1.00 | 0 | 0 |" in text
    assert "| netadapt | uniform | 1 | +16.00 (+16.0 to +16.0) | 1 of 1 | 1.00 | 1 | 0 |" in text
    assert "On the average ours loses: rank to torch-pruning." in text
    assert "Setting `cpu`: 2 of 144 cells." in text
    assert "Setting `gpu`: 0 of 240 cells." in text
    assert page([]).count("| ") == 0


def test_the_page_is_that_of_the_lines_that_are_checked_in() -> None:
    lines = automatic.OUT / "automatic.jsonl"
    assert page(automatic.read(lines)) == lines.with_suffix(".md").read_text(encoding="utf-8")


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    lines = tmp_path / "automatic.jsonl"
    lines.write_text(json.dumps(document(0)) + "\n" + '{"dataset": "dig')
    assert automatic.read(lines) == [document(0)]
    assert automatic.read(tmp_path / "absent.jsonl") == []


def test_options_choose_cells() -> None:
    options = automatic._options(["--dataset", "mnist", "--network", "resnet18", "--resource", "madds", "--seed", "1"])
    cells = list(automatic.wanted(options, CPU))
    assert [cell.key for cell in cells] == [f"mnist resnet18 madds {share} 1" for share in (0.5, 0.3, 0.7)]


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_every_network_of_a_setting_can_be_built(setting: str) -> None:
    for network in NETWORKS:
        assert sum(tensor.numel() for tensor in build(network, SETTINGS[setting].networks[network]).parameters()) > 1e4


@pytest.mark.parametrize(
    "methods", [("random",), pytest.param(tuple(METHODS), marks=pytest.mark.slow)], ids=["one", "all"]
)
def test_a_cell_runs_and_all_keep_its_bound(methods: tuple[str, ...]) -> None:
    if "torch-pruning" in methods:
        pytest.importorskip("torch_pruning")
    tiny = replace(CPU, side=8, steps=8, recovery_steps=2, short_steps=1, step=0.3, episodes=4, warmup=2)
    networks = {"mobilenet_v1": {"width": 0.25, "total_stride": 4}}
    tiny = replace(tiny, networks=networks)
    data = automatic.images("digits", 8)
    module = build("mobilenet_v1", networks["mobilenet_v1"]).eval()
    task = Task.of(Cell("digits", "mobilenet_v1", "madds", 0.5, 0), tiny, data, module)
    found = run(task, {name: METHODS[name] for name in methods})
    assert set(found["methods"]) == {"unpruned", *methods}
    for name, figures in found["methods"].items():
        assert "failed" not in figures, f"{name}: {figures}"
        if name != "unpruned":
            assert figures["madds"] <= task.bound
            assert figures["use"] <= 1
            assert figures["latency_ratio"] > 0
    json.dumps(found, allow_nan=False)


def test_random_shares_come_just_below_the_bound() -> None:
    import numpy as np

    tiny = replace(CPU, side=8, networks={"mobilenet_v2": {"width": 0.35, "total_stride": 4, "head_width": 64}})
    module = build("mobilenet_v2", tiny.networks["mobilenet_v2"]).eval()
    task = Task.of(Cell("digits", "mobilenet_v2", "madds", 0.6, 0), tiny, automatic.images("digits", 8), module)
    shares = np.random.default_rng(0).uniform(0.2, 1, len(task.space.max_counts))
    use = task.space.use(counts_at_bound(task.space, shares, task.bound))
    assert 0.9 * task.bound < use <= task.bound
