"""NASNet-A: its cells beside a plain transcription of the paper's Figure 4, and how they are joined."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.layers import AvgPoolSame, DropPath, FactorizedReduction, MaxPoolSame, TwiceSeparable
from pocketcnn.models.nasnet import MOBILE, NASNet, Plan
from pocketcnn.models.nasnet_cells import NORMAL, REDUCTION, Cell, Map, Style

TINY = Plan(stem=8, filters=8, cells=3, skips_reduction_input=False, auxiliary_map=2)


def average(x: torch.Tensor, stride: int = 1) -> torch.Tensor:
    return F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)


@torch.no_grad()
def test_the_normal_cell_is_that_of_the_figure():
    torch.manual_seed(0)
    cell = Cell(NORMAL, Map(6, 2), Map(10, 2), 4, Style(), drop_path=0.0).eval()
    present, before = torch.randn(2, 6, 5, 5), torch.randn(2, 10, 5, 5)
    h0, h1 = cell.present(present), cell.before(before)
    h2 = cell.left0(h0) + cell.right0(h1)
    h3 = cell.left1(h1) + cell.right1(h1)
    h4 = average(h0) + h1
    h5 = average(h1) + average(h1)
    h6 = cell.left4(h0) + h0
    torch.testing.assert_close(cell(present, before), torch.cat((h1, h2, h3, h4, h5, h6), dim=1))
    kernels = {
        name: part.depthwise1.kernel_size[0] for name, part in cell.named_children() if isinstance(part, TwiceSeparable)
    }
    assert kernels == {"left0": 5, "right0": 3, "left1": 5, "right1": 3, "left4": 3}


@torch.no_grad()
def test_the_reduction_cell_is_that_of_the_figure():
    torch.manual_seed(0)
    cell = Cell(REDUCTION, Map(6, 2), Map(4, 2), 4, Style(), drop_path=0.0).eval()
    present, before = torch.randn(2, 6, 7, 8), torch.randn(2, 4, 7, 8)
    h0, h1 = cell.present(present), before  # of the right width already
    h2 = cell.left0(h0) + cell.right0(h1)
    h3 = F.max_pool2d(h0, 3, 2, padding=1) + cell.right1(h1)
    h4 = average(h0, 2) + cell.right2(h1)
    h5 = h3 + average(h2)
    h6 = cell.left4(h2) + F.max_pool2d(h0, 3, 2, padding=1)
    torch.testing.assert_close(cell(present, before), torch.cat((h3, h4, h5, h6), dim=1))
    separable = {name: part for name, part in cell.named_children() if isinstance(part, TwiceSeparable)}
    assert {name: part.depthwise1.kernel_size[0] for name, part in separable.items()} == {
        "left0": 5,
        "right0": 7,
        "right1": 7,
        "right2": 5,
        "left4": 3,
    }
    assert {name for name, part in separable.items() if part.depthwise1.stride == (1, 1)} == {"left4"}


@pytest.mark.parametrize(
    ("name", "side", "filters", "cells", "sizes"),
    [("nasnet_mobile", 224, 44, 12, (111, 28, 14, 7)), ("nasnet_large", 331, 168, 18, (165, 42, 21, 11))],
)
def test_maps_have_the_widths_and_sizes_of_the_reference(name, side, filters, cells, sizes):
    with torch.device("meta"), torch.no_grad():
        features = zoo.create(name).features.eval()
        maps = {}
        for key, cell in features.cells.items():
            cell.register_forward_hook(lambda *call, key=key: maps.update({key: call[-1].shape[1:]}))
        assert features(torch.empty(1, 3, side, side)).shape == (1, 24 * filters, sizes[3], sizes[3])
    assert [key for key in features.cells if key.startswith("cell")] == [f"cell{number}" for number in range(cells)]
    assert maps["stem1"] == (2 * filters, sizes[1], sizes[1])
    for part, size in enumerate(sizes[1:]):
        assert maps[f"cell{cells * part // 3}"] == (6 * filters * 2**part, size, size)
    order = list(features.cells)
    assert order[order.index("reduction1") - 1] == features.auxiliary_cell == f"cell{2 * cells // 3 - 1}"


@pytest.mark.parametrize(("skips", "back"), [(False, 2), (True, 3)])
def test_the_cell_after_a_reduction_reads_its_input_or_what_was_before(skips, back):
    plan = Plan(stem=8, filters=8, cells=3, skips_reduction_input=skips, auxiliary_map=2)
    features = NASNet(plan, classes=2, in_channels=3, dropout=0.0).features
    assert features.back == {
        "stem0": 1,
        "stem1": 2,
        "cell0": 2,
        "reduction0": 2,
        "cell1": back,
        "reduction1": 2,
        "cell2": back,
    }
    for name in ("stem1", "cell0", "cell1", "cell2"):
        assert isinstance(features.cells[name].before, FactorizedReduction)


def test_the_auxiliary_head_is_for_training_only():
    torch.manual_seed(0)
    network = NASNet(TINY, classes=4, in_channels=3, dropout=0.0, auxiliary_head=True).train()
    images = torch.randn(2, 3, 96, 96)
    logits, auxiliary = network.forward_with_auxiliary(images)
    assert logits.shape == auxiliary.shape == (2, 4)
    (logits.sum() + 0.4 * auxiliary.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in network.auxiliary.parameters())
    network.eval()
    torch.testing.assert_close(network(images), network.forward_with_auxiliary(images)[0])
    network.reset_classifier(7)
    assert [part.shape for part in network.forward_with_auxiliary(images)] == [(2, 7), (2, 7)]


def test_without_the_auxiliary_head_its_logits_are_refused():
    network = NASNet(TINY, classes=4, in_channels=3, dropout=0.0)
    with pytest.raises(TypeError, match="auxiliary_head=True"):
        network.forward_with_auxiliary(torch.randn(1, 3, 96, 96))
    with torch.device("meta"):
        head = zoo.create("nasnet_mobile", auxiliary_head=True).auxiliary
        assert head.resize(head.pool(torch.empty(1, 528, 14, 14))).shape == (1, 528, 4, 4)


def test_drop_path_grows_with_the_depth_and_leaves_out_identities():
    network = NASNet(TINY, classes=4, in_channels=3, dropout=0.0, drop_path=0.3)
    rates = {
        name: {part.rate for part in cell.modules() if isinstance(part, DropPath)}
        for name, cell in network.features.cells.items()
    }
    assert {name: [round(rate, 6) for rate in found] for name, found in rates.items()} == {
        name: [round(0.3 * place / 7, 6)] for place, name in enumerate(network.features.cells, start=1)
    }
    assert sum(isinstance(part, DropPath) for part in network.features.cells["cell0"].modules()) == 8


def test_the_padding_of_tensorflow_reaches_every_strided_operation():
    with torch.device("meta"):
        network = NASNet(MOBILE, classes=2, in_channels=3, dropout=0.0, style=Style("same"))
    assert not any(isinstance(part, nn.MaxPool2d) for part in network.modules())
    assert sum(isinstance(part, MaxPoolSame) for part in network.modules()) == 2 * 4
    assert sum(isinstance(part, AvgPoolSame) for part in network.modules()) == 4
