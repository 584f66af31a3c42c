"""Parameters and multiply-adds equal the published networks', recounted exactly from the papers' layer lists."""

import csv
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import pocketcnn.models as zoo
from pocketcnn.models.counting import Count
from pocketcnn.models.published import (
    Checked,
    Doubt,
    Verdict,
    builder,
    check,
    difference,
    mismatches,
    read_published,
    within_rounding,
    within_tolerance,
)
from pocketcnn.vision import require_torchvision

PUBLISHED = read_published()
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "papers.csv"


def name(row) -> str:
    return f"{row.paper}-{row.variant}-{row.input}"


@pytest.fixture(scope="module")
def checked() -> dict[str, Checked]:
    """Every row counted once: several share a network, which is then built once."""
    return {name(each.row): each for each in check(PUBLISHED)}


@pytest.mark.parametrize("row", PUBLISHED, ids=name)
def test_parameters_and_multiply_adds_are_the_published_ones(row, checked):
    found = checked[name(row)]
    assert not found.misses
    assert (found.verdict is Verdict.NOT_COUNTED) is (row.network == "")
    if row.params is not None:
        assert found.count == (row.params, row.madds)


def test_every_network_of_the_zoo_has_a_recounted_row():
    recounted = {row.network for row in PUBLISHED if row.params is not None and row.madds is not None}
    assert recounted >= set(zoo.list_models())


def test_no_row_stands_there_twice():
    assert len({name(row) for row in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize("row", random.Random(0).sample([row for row in PUBLISHED if row.params], 8), ids=name)
@torch.no_grad()
def test_the_quick_count_is_that_of_torch(row, checked):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = builder(row.network, row.width, row.options)().eval()
        network(torch.empty(1, 3, row.side, row.side))
    assert checked[name(row)].count == (
        sum(parameter.numel() for parameter in network.parameters()),
        counter.get_total_flops() // 2,
    )


PLAIN = next(row for row in PUBLISHED if (row.paper, row.variant) == ("MobileNetV1", "alpha=1 (paper)"))
TRUE = Count(PLAIN.params, PLAIN.madds)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"params": TRUE.params + 1}, "parameters are counted"),
        ({"madds": TRUE.madds - 1}, "multiply-adds are counted"),
        ({"printed_params": "9.9"}, "9.9 M are printed"),
        ({"printed_madds": "1"}, "1 M are printed"),
        ({"doubt": Doubt.WRONG, "reason": "of old"}, "the print is met"),
        ({"doubt": Doubt.WRONG}, "without a reason"),
        ({"reason": "none"}, "without a doubt"),
        ({"doubt": Doubt.FITTED, "reason": "chosen", "printed_madds": "1"}, "1 M are printed"),
    ],
)
def test_a_wrong_figure_is_a_miss(change, complaint):
    assert list(mismatches(PLAIN, TRUE)) == []
    wrong = replace(PLAIN, **change)
    found = tuple(mismatches(wrong, TRUE))
    assert complaint in "\n".join(found)
    assert Checked(wrong, TRUE, found).verdict is Verdict.MISSED


def test_a_stated_reason_excuses_the_print_but_not_the_recount():
    excused = replace(PLAIN, printed_madds="1", doubt=Doubt.WRONG, reason="a slip")
    assert list(mismatches(excused, TRUE)) == []
    assert Checked(excused, TRUE, ()).verdict is Verdict.EXPLAINED
    assert list(mismatches(replace(excused, madds=1), TRUE)) != []


def test_a_row_without_a_network_says_why():
    assert list(mismatches(replace(PLAIN, network=""), None)) == ["names no network and does not say why"]
    absent = replace(PLAIN, network="", doubt=Doubt.NOT_IN_THE_ZOO, reason="found by a search")
    assert list(mismatches(absent, None)) == []


def test_prints_are_met_within_three_percent_or_their_last_digit():
    assert within_tolerance(103_000_000, "100")
    assert not within_tolerance(104_000_000, "100")
    assert within_tolerance(1_180_000, "1.1")  # truncated
    assert not within_rounding(103_000_000, "100")
    assert difference(103_000_000, "100") == pytest.approx(0.03)
    assert difference(1, "") is None


def test_the_authors_count_of_shiftresnet_takes_its_stem_for_wider_than_it_is():
    """count.py of alvinwan/shiftresnet-cifar prints 16,581,248: for the stem it multiplies by the 64 channels of the last
    stage instead of by 3 · 16. All other layers agree."""
    (row,) = [row for row in PUBLISHED if row.network == "shiftresnet" and row.madds]
    assert row.madds + 32 * 32 * 9 * (64 - 3 * 16) == 16_581_248


@torch.no_grad()
def test_the_authors_count_of_efficientnet_lite_has_three_more_for_each_output_of_a_convolution():
    for row in (row for row in PUBLISHED if row.paper == "EfficientNet-Lite"):
        outputs = 0

        def count(_module, _inputs, output):
            nonlocal outputs
            outputs += output.numel()

        with torch.device("meta"):
            network = zoo.create(row.network).eval()
            for module in network.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.register_forward_hook(count)
            network(torch.empty(1, 3, row.side, row.side))
        assert within_rounding(row.madds + 3 * outputs, row.printed_madds) or row.network == "efficientnet_lite0"
        assert abs((row.madds + 3 * outputs) / 1e6 / float(row.printed_madds) - 1) < 0.005


AUTHORS_COUNT = {  # by the count that the authors' code of CondenseNet does
    ("condensenet_74", 224): 529_328_264,
    ("condensenet_86", 32): 65_812_394,
    ("condensenet_182", 32): 512_658_874,
}


@pytest.mark.parametrize("network", ["condensenet_74", "condensenet_86", "condensenet_182"])
@torch.no_grad()
def test_the_authors_count_of_condensenet_has_relus_pooling_and_biases_too(network):
    row = next(row for row in PUBLISHED if row.network == network and row.options in ({"groups": 4}, {"classes": 10}))
    more = row.options.get("classes", 1000)

    def read(module, inputs, output):
        nonlocal more
        shrunk = inputs[0].numel() if isinstance(module, torch.nn.AdaptiveAvgPool2d | torch.nn.AvgPool2d) else 0
        more += shrunk or output.numel()

    with torch.device("meta"):
        built = builder(row.network, row.width, row.options)().eval()
        for module in built.modules():
            if isinstance(module, torch.nn.ReLU | torch.nn.AvgPool2d | torch.nn.AdaptiveAvgPool2d):
                module.register_forward_hook(read)
        built(torch.empty(1, 3, row.side, row.side))
    assert row.madds + more == AUTHORS_COUNT[row.network, row.side]


def test_figures_that_are_torchvisions_are_those_of_its_weights():
    torchvision = require_torchvision("models")
    rows = [row for row in PUBLISHED if "IMAGENET1K_V1" in row.source]
    assert len(rows) > 8
    for row in rows:
        meta = torchvision.get_model_weights(row.network)["IMAGENET1K_V1"].meta
        assert row.params == meta["num_params"]
        assert row.madds == pytest.approx(meta["_ops"] * 1e9, rel=2e-3)
        assert row.top1 == meta["_metrics"]["ImageNet-1K"]["acc@1"]


REMADE = {("ShiftResNet", "20 e=3 CIFAR-10")}  # the reference has the authors' count, with its slip


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is not part of the package")
def test_every_row_of_the_reference_is_covered():
    with REFERENCE.open(encoding="utf-8", newline="") as table:
        reference = list(csv.DictReader(table))
    assert len(reference) == 181
    rows = {(row.paper, row.variant, row.input): row for row in PUBLISHED}
    for expected in reference:
        row = rows[expected["network"], expected["variant"], expected["input"]]
        assert row.network or row.reason
        assert row.top1 == (float(expected["top1_percent"]) if expected["top1_percent"] else None)
        assert row.confidence == expected["confidence"]
        if (row.paper, row.variant) not in REMADE:
            assert (row.params, row.madds) == tuple(
                int(expected[column]) if expected[column] else None for column in ("measured_params", "measured_madds")
            )
        assert row.printed_madds == expected["madds_millions"]
        if "params = measured" not in expected["note"] and "params column = measured" not in expected["note"]:
            assert row.printed_params == expected["params_millions"]
        else:
            assert row.printed_params == ""
