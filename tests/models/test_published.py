"""Parameters and multiply-adds equal the published networks', recounted exactly from the papers' layer lists.

Counted are all learnable tensors, and the multiply-adds of convolutions and linear layers for one image.
"""

import ast
import csv
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import pocketcnn.models as zoo

with Path(__file__).with_name("published.csv").open(encoding="utf-8") as table:
    PUBLISHED = list(csv.DictReader(table))


def keywords(options: str) -> dict[str, object]:
    """`groups=3 classifier_bias=False` as keywords."""
    pairs = (option.split("=") for option in options.split())
    return {key: ast.literal_eval(value) for key, value in pairs}


@cache
@torch.no_grad()
def counted(network: str, width: float, options: str, side: int) -> tuple[int, int]:
    """Parameters and multiply-adds; several papers print the same network."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:  # shapes only: nothing is computed
        built = zoo.create(network, width=width, **keywords(options)).eval()
        built(torch.empty(1, 3, side, side))
    return sum(parameter.numel() for parameter in built.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['network']}-{row['variant']}-{row['input']}")
def test_parameters_and_multiply_adds_are_the_published_ones(row):
    found = counted(row["network"], float(row["width"]), row["options"], int(row["input"]))
    assert found == (int(row["params"]), int(row["madds"]))


def test_every_network_of_the_zoo_has_a_row():
    assert {row["network"] for row in PUBLISHED} == set(zoo.list_models())


def test_the_authors_count_of_shiftresnet_takes_its_stem_for_wider_than_it_is():
    """count.py of alvinwan/shiftresnet-cifar prints 16,581,248: for the stem it multiplies by the 64 channels of the last
    stage instead of by 3 · 16. All other layers agree."""
    row = next(row for row in PUBLISHED if row["network"] == "shiftresnet")
    assert int(row["madds"]) + 32 * 32 * 9 * (64 - 3 * 16) == 16_581_248
