import pytest
import torch
from torch import nn

from pocketcnn.training import Recipe
from pocketcnn.training.optimizer import build_optimizer, parameter_groups
from tests.support.training import small_net


def test_norms_and_biases_have_no_weight_decay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(4, 2))
    decayed, spared = parameter_groups(network, 0.1)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert all(p.ndim == 1 for p in spared["params"])
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(spared["params"]) == len(list(network.parameters()))


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(network, 0.1)) == 2


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_the_quick_kernels_agree_with_the_plain_ones(name: str) -> None:
    """Ten steps of the optimizer as built against torch's plain loop with the same settings."""
    recipe = Recipe(optimizer=name, learning_rate=0.01, weight_decay=0.01)
    ours, plain = small_net(), small_net()
    built = build_optimizer(ours, recipe)
    settings = {k: v for k, v in built.defaults.items() if k not in ("fused", "foreach", "decoupled_weight_decay")}
    reference = type(built)(parameter_groups(plain, 0.01), **{**settings, "foreach": False})
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            theirs.grad = mine.grad.clone()
        built.step()
        reference.step()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not torch.equal(next(ours.parameters()), next(small_net().parameters()))
