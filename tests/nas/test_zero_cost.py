"""Proxies that need no training: their definitions, by hand on small networks."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.models import create
from pocketcnn.nas.zero_cost import PROXIES, grad_norm, naswot, params, proxy, ranked, synflow

STREAM = torch.Generator().manual_seed(0)
IMAGES, LABELS = torch.randn(8, 1, 8, 8, generator=STREAM), torch.arange(8) % 10


class Perceptron(nn.Module):
    """Two linear layers with an activation that is a function, not a module."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, width, bias=False), nn.Linear(width, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.second(F.relu6(self.first(x.flatten(1))))
        return logits


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    options = {"width": 0.25, "total_stride": 2} if name != "resnet18" else {"total_stride": 4}
    return create(name, in_channels=1, classes=10, **options)


def test_synflow_of_a_chain_is_the_flow_through_it_once_for_each_layer() -> None:
    module = Perceptron()
    flow = (module.second.weight.abs() @ module.first.weight.abs()).sum()
    assert synflow(module, IMAGES, LABELS) == pytest.approx(math.log(2 * float(flow.detach())), rel=1e-6)


def test_synflow_is_minus_infinity_where_nothing_comes_through() -> None:
    module = Perceptron()
    nn.init.zeros_(module.second.weight)
    assert synflow(module, IMAGES, LABELS) == -math.inf


def test_naswot_counts_what_two_images_have_in_common() -> None:
    module = Perceptron()
    codes = (IMAGES.flatten(1) @ module.first.weight.T > 0).long()
    agreement = torch.tensor([[int((one == other).sum()) for other in codes] for one in codes], dtype=torch.float64)
    expected = torch.linalg.slogdet(agreement).logabsdet
    assert naswot(module, IMAGES, LABELS) == pytest.approx(float(expected), rel=1e-6)


def test_naswot_is_lower_where_images_look_alike() -> None:
    module = network("mobilenet_v2")
    alike = IMAGES[:1] + 0.01 * IMAGES
    assert naswot(module, alike, LABELS) < naswot(module, IMAGES, LABELS)


def test_grad_norm_adds_the_norms_of_the_layers() -> None:
    module = Perceptron()
    F.cross_entropy(module(IMAGES), LABELS).backward()
    expected = sum(float(p.grad.norm()) for p in module.parameters() if p.grad is not None)
    module.zero_grad()
    assert grad_norm(module, IMAGES, LABELS) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("model", ["mobilenet_v2", "mobilenet_v3_small", "resnet18"])
def test_a_captured_network_has_the_score_of_its_source_and_neither_is_changed(name: str, model: str) -> None:
    module = network(model)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    stream = torch.get_rng_state()
    score = proxy(name)(module, IMAGES, LABELS)
    assert math.isfinite(score)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert [part.training for part in module.modules()] == modes
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), stream)
    graph = GraphNetwork(capture(module.eval(), (1, 1, 8, 8)))
    assert proxy(name)(graph, IMAGES, LABELS) == pytest.approx(score, rel=1e-5)


def test_networks_are_ranked_from_the_highest_score_down() -> None:
    networks = [Perceptron(width) for width in (6, 20, 3)]
    assert ranked("params", networks, IMAGES, LABELS) == [1, 0, 2]
    assert params(networks[0], IMAGES, LABELS) == 6 * 74
    with pytest.raises(UsageError, match="no zero-cost proxy 'magic'"):
        proxy("magic")
