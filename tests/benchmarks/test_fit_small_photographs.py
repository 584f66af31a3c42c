"""The page of `fit` on small sets is made of its measurements, and its control trains."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from benchmarks.fit_small_photographs import OUT, STEM, page
from benchmarks.small_photographs import control as control_module
from benchmarks.small_photographs.sets import CLIP_ART

CHECKED_IN = sorted(OUT.glob(f"{STEM}.json"))


def case(fitted: float, plain: float, majority: float) -> dict[str, Any]:
    return {
        "set": "clip-art", "seed": 0, "effort": "low",
        "fit": {
            "top1": fitted, "interval": [fitted - 0.09, fitted + 0.09], "majority": majority, "mean_recall": 0.4, "met": True,
            "network": "mobilenet_v1 0.3x, 71x71", "used": {"size": 0.94, "latency": 0.11}, "seconds": 300.0,
        },
        "control": {"top1": plain, "interval": [plain - 0.09, plain + 0.09], "seconds": 100.0},
    }  # fmt: skip


def test_the_page_says_who_is_better_and_who_is_above_the_majority() -> None:
    document = {"budget": "size<=300kB", "machine": {"cpu": "a processor"}}
    cases = [case(0.55, 0.50, 0.42), case(0.45, 0.50, 0.42)]
    text = page({**document, "cases": cases})
    assert (
        "| clip-art | 0 | low | mobilenet_v1 0.3x, 71x71 | 55.0 % (46 to 64) | 50.0 % (41 to 59) | 42.0 % | 40.0 % | 94.0 % |"
        in text
    )
    assert "+0.0 points over 2 cases. In 1 of 2 the interval of `fit` lies above" in text


@pytest.mark.parametrize("path", CHECKED_IN)
def test_the_page_that_is_checked_in_is_made_of_its_measurements(path: Path) -> None:
    document = json.loads(path.read_text())
    assert page(document) == path.with_suffix(".md").read_text()
    for each in document["cases"]:
        assert each["control"]["interval"][0] <= each["control"]["top1"] <= each["control"]["interval"][1]
        assert len({name.split()[0] for name in each["fit"]["candidates"]}) == len(each["fit"]["candidates"])


def test_the_set_is_unbalanced() -> None:
    assert sorted(CLIP_ART.values(), reverse=True) == [300, 150, 97, 70, 60, 30]


def test_the_control_learns_and_keeps_its_best_epoch() -> None:
    torch.manual_seed(0)
    images = torch.randn(96, 1, 4, 4)
    labels = (images.mean((1, 2, 3)) > 0).long()
    images += labels[:, None, None, None]

    class Sets:
        train = val = TensorDataset(images, labels)

    trained = control_module.control(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), Sets, seed=0)  # type: ignore[arg-type]
    assert float((trained(images).argmax(1) == labels).float().mean()) > 0.9
