"""The page of predicted latencies is the page of its JSON files, and networks are drawn from timm by a seed."""

import json
from pathlib import Path

import pytest

from benchmarks.latency_predictor.drawn import Drawn, drawn_from_timm
from benchmarks.latency_predictor.page import PREDICTOR, page

PAGES = Path(__file__).parents[2] / "docs" / "benchmarks"


def test_the_page_says_what_the_files_say() -> None:
    documents = [json.loads(file.read_text()) for file in sorted((PAGES / "predictor").glob("*.json"))]
    assert page(documents) == (PAGES / "predictor.md").read_text()
    for document in documents:
        for found in document["numerics"].values():
            errors = [abs(row[PREDICTOR] / row["measured"] - 1) for row in found["networks"]]
            share = sum(error <= 0.1 for error in errors) / len(errors)
            assert share == pytest.approx(found["summary"][PREDICTOR]["within_10_percent"])


def test_what_is_drawn_depends_on_the_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    asked: list[tuple[str, int]] = []

    def refused(name: str, side: int, _folder: Path) -> Drawn:
        asked.append((name, side))
        if len(asked) % 40 == 0:
            raise StopIteration
        return Drawn(f"{name} {side}", None, "not now")

    monkeypatch.setattr("benchmarks.latency_predictor.drawn._drawn", refused)
    lists = []
    for seed in (1, 1, 2):
        passed: list[Drawn] = []
        with pytest.raises(RuntimeError):  # of the generator that StopIteration ends
            list(drawn_from_timm(1, seed, tmp_path, passed.append))
        assert len(passed) == 39
        lists.append(asked[-40:])
    assert lists[0] == lists[1] != lists[2]
    assert len({name for name, _ in lists[0]}) > 30
