"""The benchmark of the search strategies: its page is a function of its lines, and its curves are what searches had."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import search as benchmark
from benchmarks.search_table import at_latency
from benchmarks.search_table.material import all_points, images, name_of, small_space
from benchmarks.search_table.page import page
from benchmarks.search_table.plots import drawing
from benchmarks.search_table.points import Table, trained_row
from benchmarks.search_table.runs import area, curve, searched
from benchmarks.search_table.setting import CPU, GPU, SETTINGS, STRATEGIES
from benchmarks.search_table.statistics import compared, interval
from benchmarks.search_table.synthetic import ChainSpace
from pocketcnn.nas.objective import ACCURACY
from pocketcnn.nas.trial import Evaluation, Finished, Proposal


def line(strategy: str, seed: int, last: float, **changes: Any) -> dict[str, Any]:
    document = {"setting": "cpu", "part": "synthetic", "key": f"accuracy {strategy} {seed}", "task": "accuracy"}
    values = [None] + [last - 0.1] * (CPU.evaluations - 2) + [last]
    return {
        **document,
        "strategy": strategy,
        "seed": seed,
        "curve": values,
        "area": last / 2,
        "seconds": 1.0,
        **changes,
    }


def real(strategy: str, seed: int, last: float) -> dict[str, Any]:
    values = [last] * CPU.real_evaluations
    more = {"part": "runs", "key": f"digits {strategy} {seed}", "dataset": "digits", "curve": values}
    return line(strategy, seed, last, **more, best=0.95, bound=120_000.0, cost="madds", point="0 1" if seed else "1 1")


def test_the_page_shows_means_intervals_tests_and_who_beats_random_search() -> None:
    lines = [line("random", seed, 0.7 + 0.01 * seed) for seed in range(8)]
    lines += [line("nasnet", seed, 0.8 + 0.01 * seed) for seed in range(8)]
    text = page(lines)
    (row,) = [each for each in text.splitlines() if each.startswith("| nasnet | 8 |")]
    cells = [cell.strip() for cell in row.split("|")[3:-1]]
    assert cells[0] == "0.735 (0.715 to 0.755)"
    assert cells[2] == "**0.835 (0.815 to 0.855)**"
    assert cells[4] == "8 of 8"
    assert "The controller `nasnet`, with the reward of its paper, beats random search at p < 0.01" in text
    worse = page([*lines[:8], *(line("nasnet", seed, 0.7 - 0.01 * seed) for seed in range(8))])
    assert "does not beat random search" in worse
    assert "| cpu | synthetic | 16 |" in text
    assert "## Setting" not in page([])


def test_the_page_shows_real_images_and_what_was_found_beside_the_zoo() -> None:
    lines = [real(strategy, seed, 0.9 + 0.01 * seed) for strategy in ("random", "evolution") for seed in range(3)]
    latency = {"median": 5e-5, "p10": 4e-5, "p90": 6e-5, "madds": 1000}
    measured = {"point 0": latency, "mobilenet_v2 0.1": latency}
    head = {"setting": "cpu", "part": "finals", "dataset": "digits"}
    lines.append({**head, "key": "digits latencies", "points": ["0 1"], "latencies": measured})
    lines.append({**head, "key": "digits 0 1 0", "point": "0 1", "seed": 0, "val": 0.9, "test": 0.97})
    lines.append(
        {**head, "key": "digits m 0", "network": "mobilenet_v2", "width": 0.1, "seed": 0, "val": 0.9, "test": 0.95}
    )
    text = page(lines)
    assert "120,000 multiply-adds, is kept by 40% of them; the best that keeps it has 95.00%" in text.replace(
        " \n", " "
    )
    assert "| point 0 1 | random, evolution | 1 | 0.970 (0.970 to 0.970) | 50 µs (40 to 60) | 1,000 |" in text
    assert "| mobilenet_v2 0.1x | the zoo | 1 | 0.950" in text
    assert "| shufflenet_v2 | the zoo | 0 | not run yet | - | - |" in text
    drawings = drawing(lines)
    assert set(drawings) == {"search-digits.svg"}
    assert drawings["search-digits.svg"].count('id="curve-') == 2


def test_the_page_and_the_drawings_are_those_of_the_lines_that_are_checked_in() -> None:
    documents = benchmark.read(benchmark.OUT / benchmark.LINES)
    assert page(documents) == (benchmark.OUT / benchmark.PAGE).read_text(encoding="utf-8")
    for name, text in drawing(documents).items():
        assert (benchmark.OUT / name).read_text(encoding="utf-8") == text


def test_the_curve_of_a_search_is_the_best_after_each_evaluation() -> None:
    def trial(number: int, accuracy: float, training: float = 1.0) -> Finished:
        return Finished(number, Proposal({"a": number}, training), Evaluation(accuracy, 0.5), accuracy)

    whole = [trial(0, 0.3), trial(1, 0.2), trial(2, 0.6)]
    assert curve(whole, lambda each: each.reward, 3) == [0.3, 0.3, 0.6]
    assert curve(whole, lambda each: None if each.number == 0 else each.reward, 3) == [None, 0.2, 0.6]
    thirds = [trial(number, 0.1 * number, 1 / 3) for number in range(3)] + [trial(3, 0.7)]
    assert curve(thirds, lambda each: each.reward, 3) == [None, 0.7, 0.7]
    assert area(whole) == pytest.approx(0.6 * 0.5)
    assert area(thirds) == pytest.approx(0.7 * 0.5)


@pytest.mark.parametrize("strategy", ["random", "halving"])
def test_a_run_spends_its_evaluations_and_no_more(strategy: str) -> None:
    space = ChainSpace(0)
    trials = searched(strategy, space, space.evaluate, ACCURACY, 20, seed=0)
    assert sum(each.proposal.training for each in trials) <= 20
    last = curve(trials, lambda each: each.reward, 20)[-1]
    assert last == max(each.reward for each in trials if each.proposal.training >= 1)


def test_intervals_and_tests() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, -0.4841, 4.4841), abs=1e-4)
    assert interval([1.0]).low == 1.0
    better = compared([2.0, 3.0, 4.0, 5.0, 6.0, 7.5], [1.0, 1.0, 1.0, 1.0, 1.0, 8.0])
    assert (better.seeds, better.wins, better.ties) == (6, 5, 0)
    assert better.paired < 0.1
    assert compared([1.0, 2.0], [1.0, 2.0]).paired == 1.0


def test_the_table_answers_for_every_network_of_the_small_space() -> None:
    points = all_points()
    assert len(points) == 160
    rows = {
        name_of(point): {"seconds": None, "madds": 100 + n, "val6": n / 160, "val2": 0.0}
        for n, point in enumerate(points)
    }
    table = Table(rows, CPU)
    assert table.cost == "madds"
    assert sum(table.use(point) <= 1 for point in points) == 64
    assert table.evaluate(Proposal(points[7]), 0) == Evaluation(7 / 160, (100 + 7) / table.bound)
    assert table.evaluate(Proposal(points[7], 1 / 3), 0).accuracy == 0.0
    assert table.best == max(n / 160 for n in range(160) if 100 + n <= table.bound)
    assert set(STRATEGIES) >= {"random", "nasnet"}
    assert GPU.epochs / 9 == 3
    assert set(SETTINGS) == {"cpu", "gpu"}


@pytest.mark.slow
def test_a_point_is_trained_for_each_share_of_the_epochs() -> None:
    row = trained_row(small_space().at([0] * len(small_space().decisions)), images("digits", CPU.side, 200), CPU)
    assert {"val6", "val2", "val1", "test", "madds", "seconds"} <= set(row)
    json.dumps(row)


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "search.jsonl"
    path.write_text(json.dumps(line("random", 0, 0.5)) + "\n" + '{"setting": "cp')
    store = benchmark.Store(path)
    assert store.has(CPU, "synthetic", "accuracy random 0")
    assert not store.has(CPU, "synthetic", "accuracy random 1")
    assert not store.has(GPU, "synthetic", "accuracy random 0")


@pytest.mark.slow
def test_searches_for_a_latency_end_with_networks_beside_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_latency, "WIDTHS", (0.25,))
    monkeypatch.setattr(at_latency, "LOOKS", 1)
    monkeypatch.setattr(at_latency, "SLACK", 100.0)  # whatever the machine does meanwhile
    monkeypatch.setattr(benchmark, "SLACK", 100.0)
    tiny = replace(CPU, images=64, latency_side=12, latency_evaluations=2, latency_epochs=1, latency_seeds=1)
    tiny = replace(tiny, latency_final_epochs=1, zoo=(0.1,))
    store = benchmark.Store(tmp_path / "lines.jsonl")
    for document in benchmark.latency(tiny, store, ("digits",)):
        store.add(document)
    again = benchmark.Store(tmp_path / "lines.jsonl")
    assert list(benchmark.latency(tiny, again, ("digits",))) == []  # nothing is done twice
    text = page(again.documents)
    rows = [line for line in text.splitlines() if "the zoo |" in line]
    assert [row.split("|")[1].strip() for row in rows] == [
        "mobilenet_v2 0.1x",
        "mobilenet_v3_small 0.1x",
        "shufflenet_v2 0.1x",
    ]
    assert "| random | 1 |" in text
    assert "are at least as accurate as the best of the zoo at that latency" in text
    found = next(each for each in again.documents if each.get("strategy") == "random")
    assert 0 <= found["val"] <= 1
    assert len(found["places"]) == len(at_latency.AtLatency("digits", tiny, 0.25).space.decisions)
