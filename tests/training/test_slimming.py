"""Network slimming: the penalty on the scales of batch norms, beside the formula written out in plain torch."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.training import Recipe, train
from pocketcnn.training.slimming import ScalePenalty, normalization_scales
from tests.support.training import QUICK, Digits, small_net

STRENGTH = 0.01


def scales(network: nn.Module) -> list[torch.Tensor]:
    return [module.weight for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_the_gradient_is_that_of_the_loss_plus_the_sign_of_each_scale() -> None:
    """Liu et al., section 3: the sub-gradient of λ·|γ| is λ·sign(γ), and 0 at γ = 0."""
    network = small_net()
    with torch.no_grad():
        scales(network)[0][0] = 0.0
        scales(network)[0][1] = -0.5
    plain = copy.deepcopy(network)
    images, labels = torch.stack([Digits(0, 16)[i][0] for i in range(16)]), torch.arange(16) % 10
    F.cross_entropy(plain.eval()(images), labels).backward()
    ScalePenalty(network, STRENGTH).added_to(F.cross_entropy(network.eval()(images), labels)).backward()
    for mine, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        is_scale = any(mine is scale for scale in scales(network))
        expected = theirs.grad + STRENGTH * mine.detach().sign() if is_scale else theirs.grad
        assert torch.allclose(mine.grad, expected, atol=1e-7)
    assert network[1].weight.grad[0] == plain[1].weight.grad[0]


def test_a_training_step_is_the_one_of_plain_torch() -> None:
    """One step of plain SGD on one batch, written out."""
    network = small_net()
    network[10].p = 0.0  # dropout would draw
    expected = copy.deepcopy(network).train()
    batch = Digits(0, 32)
    images, labels = torch.stack([batch[i][0] for i in range(32)]), torch.tensor([batch[i][1] for i in range(32)])
    F.cross_entropy(expected(images), labels).backward()
    with torch.no_grad():
        for parameter in expected.parameters():
            parameter -= 0.05 * parameter.grad
        for scale, before in zip(scales(expected), scales(network), strict=True):
            scale -= 0.05 * STRENGTH * before.sign()
    recipe = Recipe(
        epochs=1, batch_size=32, learning_rate=0.05, momentum=0.0, weight_decay=0.0, warmup_epochs=0.0,
        label_smoothing=0.0, ema_decay=0.0, bn_l1=STRENGTH, amp="off",
    )  # fmt: skip
    train(network, batch, Digits(32, 64), recipe)
    for mine, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_scales_fade_where_they_are_penalized() -> None:
    faded, free = small_net(), small_net()
    recipe = QUICK.with_(epochs=6)
    train(faded, Digits(0, 256), Digits(256, 320), recipe.with_(bn_l1=0.2))
    train(free, Digits(0, 256), Digits(256, 320), recipe)
    size = [sum(float(scale.detach().abs().sum()) for scale in scales(network)) for network in (faded, free)]
    assert size[0] < 0.8 * size[1]


def test_a_graph_has_the_scales_of_its_source() -> None:
    module = small_net()
    network = GraphNetwork(capture(module, (1, 1, 8, 8)))
    assert [scale.tolist() for scale in normalization_scales(network)] == [scale.tolist() for scale in scales(module)]


def test_a_network_without_batch_norm_cannot_be_slimmed() -> None:
    with pytest.raises(UsageError, match="bn_l1 penalizes the scales of batch normalizations"):
        train(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), Digits(0, 64), Digits(64, 96), QUICK.with_(bn_l1=0.1))
