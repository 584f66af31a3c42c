"""Parameters and multiply-adds equal the published networks', recounted exactly from the papers' layer lists.

Counted are all learnable tensors, and the multiply-adds of convolutions and linear layers for one image. The table holds
beside them what the papers print, in millions, and why, where both do not agree.
"""

import ast
import csv
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import pocketcnn.models as zoo
from pocketcnn.models.bottleneck_plan import Bottleneck, BottleneckPlan
from pocketcnn.models.mobilenet_v1 import MobileNetV1, Separable
from pocketcnn.models.mobilenet_v2 import MobileNetV2

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


def agrees(count: str, printed: str) -> bool:
    """Within 3 %, or within one unit of the last digit, as some tables round and others truncate."""
    unit = 10 ** -len(printed.partition(".")[2])
    return not printed or abs(int(count) / 1e6 - float(printed)) <= max(0.03 * float(printed), unit)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['network']}-{row['variant']}-{row['input']}")
def test_the_print_is_met_unless_the_table_says_why_not(row):
    met = agrees(row["params"], row["printed_params"]) and agrees(row["madds"], row["printed_madds"])
    assert met is (row["disagreement"] == ""), row["disagreement"]


def pruned_mobilenet_v1(stem: int, widths: list[int]) -> nn.Module:
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    blocks = [Separable(out, stride) for out, stride in zip(widths, strides, strict=True)]
    return MobileNetV1(stem, blocks, classes=1000, in_channels=3, dropout=0.0)


def pruned_mobilenet_v2(stem: int, first: int, pairs: list[tuple[int, int]], last: int) -> nn.Module:
    """`pairs` are expanded width and output of every block after the first."""
    strides = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    widths = [(stem, first), *pairs]
    blocks = [Bottleneck(*width, stride=stride) for width, stride in zip(widths, strides, strict=True)]
    plan = BottleneckPlan(stem, tuple(blocks), last, activation="relu6")
    return MobileNetV2(plan, classes=1000, in_channels=3, dropout=0.0)


AMC_BEFORE_14 = [(72, 24), (104, 24), (104, 32), (136, 32), (136, 32), (136, 64)]
AMC_FROM_14 = [
    (272, 64),
    (272, 64),
    (272, 64),
    (272, 96),
    (408, 96),
    (400, 96),
    (400, 160),
    (712, 160),
    (720, 160),
    (712, 248),
]
PRUNED = {  # channel lists of "AMC: AutoML for Model Compression" (mit-han-lab/amc-models), params, madds
    "mobilenet_v1 50% FLOPs": (
        lambda: pruned_mobilenet_v1(24, [48, 96, 80, 192, 200, 328, 352, 368, 360, 328, 400, 736, 752]),
        (2408232, 293870000),
    ),
    "mobilenet_v1 50% latency": (
        lambda: pruned_mobilenet_v1(16, [48, 88, 80, 192, 168, 336, 360, 360, 352, 352, 368, 768, 680]),
        (2279816, 273976912),
    ),
    "mobilenet_v2 70% FLOPs": (
        lambda: pruned_mobilenet_v2(
            24,
            16,
            [*AMC_BEFORE_14, *AMC_FROM_14],
            848,
        ),
        (2330272, 210620528),
    ),
}


@pytest.mark.parametrize(("build", "expected"), PRUNED.values(), ids=PRUNED.keys())
@torch.no_grad()
def test_pruned_networks_of_others_are_built_from_their_channel_lists(build, expected):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build().eval()
        network(torch.empty(1, 3, 224, 224))
    assert (sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2) == expected


def test_every_network_of_the_zoo_has_a_row():
    assert {row["network"] for row in PUBLISHED} == set(zoo.list_models())


def test_the_authors_count_of_shiftresnet_takes_its_stem_for_wider_than_it_is():
    """count.py of alvinwan/shiftresnet-cifar prints 16,581,248: for the stem it multiplies by the 64 channels of the last
    stage instead of by 3 · 16. All other layers agree."""
    row = next(row for row in PUBLISHED if row["network"] == "shiftresnet")
    assert int(row["madds"]) + 32 * 32 * 9 * (64 - 3 * 16) == 16_581_248
