"""The table of quantization: spreads over seeds, a page made of the JSON alone, and a verdict that hides nothing."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compression.quantization_table.judging import Figures, over_seeds
from benchmarks.compression.quantization_table.page import page

CHECKED_IN = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def figures(accuracy: float, agreement: float = 0.99) -> Figures:
    return Figures(accuracy=accuracy, agreement=agreement, noise_db=30.0, size=1000)


def seed_of(accuracy: float, **accuracies: float) -> dict[str, Any]:
    named = {"defaults": "ours, defaults", "learned": "ours, learned steps", "peer": "NNCF"}
    return {
        "test_images": 500,
        "accuracy": accuracy,
        "calibration": 8,
        "tuning": 1,
        "rows": {named[way]: asdict(figures(found)) for way, found in accuracies.items()},
    }


def document(*, lost_by_defaults: float = 0.0, agreement: float = 0.98) -> dict[str, Any]:
    network = {
        str(seed): seed_of(exact, defaults=exact - lost_by_defaults, learned=exact, peer=exact - 0.005)
        for seed, exact in enumerate((0.98, 0.96))
    }
    photographs = {
        "network": "efficientnet_lite0",
        "calibration": 8,
        "test_images": 16,
        "rows": {
            "ours, defaults": {"agreement": agreement, "noise_db": 25.0},
            "NNCF": {"agreement": 0.9, "noise_db": 15.0},
        },
    }
    few_bits = {bits: over_seeds([figures(0.9), figures(0.8)], [0.98, 0.96]) for bits in ("8", "6", "4")}
    return {
        "machine": {"cpu": "a processor"},
        "settings": {"steps": 3},
        "networks": {"mobilenet_v2 on digits": network},
        "imagenet": photographs,
        "clipping": {name: {"accuracy": [0.98, 0.96], "rows": few_bits} for name in ("relu6", "relu")},
        "mixed": {"accuracy": [0.98, 0.96], "rows": {"50": over_seeds([figures(0.97)] * 2, [0.98, 0.96])}},
    }


def test_figures_of_seeds_are_losses_against_their_own_float_networks() -> None:
    found = over_seeds([figures(0.97, 0.9), figures(0.93, 0.8)], [0.98, 0.96])
    assert found["lost"]["mean"] == pytest.approx(0.02)
    assert found["lost"]["worst"] == pytest.approx(0.03)
    assert found["agreement"]["worst"] == pytest.approx(0.8)
    assert len(found["seeds"]) == 2


def test_a_page_says_that_nothing_was_lost_only_where_that_is_so() -> None:
    assert "Nowhere in this run" in page(document())
    text = page(document(lost_by_defaults=0.02, agreement=0.95))
    assert "Nowhere" not in text
    assert "mobilenet_v2 on digits: ours, defaults lose 2.00 points, 1.00 wanted" in text
    assert "mobilenet_v2 on digits: NNCF loses 0.50 points, our defaults 2.00" in text
    assert "the defaults agree on 95.0%, 97% wanted" in text


def test_a_part_that_was_not_run_is_said_to_be_missing() -> None:
    found = document()
    del found["mixed"], found["imagenet"]
    text = page(found)
    assert "`mixed` was not run yet" in text
    assert "`imagenet` was not run yet" in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    lines = page(document()).splitlines()
    for before, line in itertools.pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|")


def test_the_page_that_is_checked_in_is_that_of_the_figures_beside_it() -> None:
    found = json.loads((CHECKED_IN / "quantization.json").read_text(encoding="utf-8"))
    assert (CHECKED_IN / "quantization.md").read_text(encoding="utf-8") == page(found)
