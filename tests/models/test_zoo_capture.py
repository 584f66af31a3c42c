"""Every network becomes a graph that computes the same, under the same names."""

import pytest
import torch
from torch import nn

from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import set_progress
from pocketcnn.models.nasnet import NASNet, Plan
from pocketcnn.models.nasnet_cells import Style
from tests.support.zoo_forms import NAMES, each, side, small

SLOW = [pytest.param("nasnet_mobile", marks=pytest.mark.slow)]  # 13 s on one core; a narrow and short one is quick


@pytest.mark.parametrize("name", [*each([name for name in NAMES if name != "nasnet_mobile"]), *SLOW])
def test_a_captured_network_computes_the_same_under_the_same_names(name, randomised):
    check(randomised(small(name)), side(name, at_least=32))


def test_a_short_nasnet_is_captured(randomised):
    plan = Plan(stem=8, filters=8, cells=3, skips_reduction_input=True, auxiliary_map=2)
    for padding in ("symmetric", "same"):
        check(randomised(NASNet(plan, classes=4, in_channels=3, dropout=0.5, style=Style(padding))), pixels=36)


@torch.no_grad()
def check(network: nn.Module, pixels: int) -> None:
    captured = GraphNetwork(capture(network, (1, 3, pixels, pixels))).eval()
    images = torch.randn(2, 3, pixels, pixels)
    torch.testing.assert_close(captured(images), network(images), atol=1e-5, rtol=1e-5)
    expected = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    found = {key: value for key, value in captured.state_dict().items() if "num_batches" not in key}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


@torch.no_grad()
def test_a_network_in_the_middle_of_learning_its_groups_is_captured_as_it_computes(randomised):
    network = randomised(small("condensenet_86", learn_groups=True))
    set_progress(network, 0.34)
    captured = GraphNetwork(capture(network, (1, 3, 8, 8))).eval()
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(captured(images), network(images), atol=1e-5, rtol=1e-5)
