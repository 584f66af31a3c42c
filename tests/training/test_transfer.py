"""A trained network for other classes: the same features, another last layer."""

import pytest
import torch
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.models import create
from pocketcnn.training.transfer import with_classes
from tests.support.training import small_net

NAMES = ("cat", "dog", "bird")


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2"])
def test_all_but_the_last_layer_is_kept(name: str) -> None:
    network = GraphNetwork(capture(create(name, classes=10), (1, 3, 64, 64))).eval()
    other = with_classes(network, NAMES)
    assert other.graph.output_shape == (3,)
    assert other.info.classes == NAMES
    before, after = network.state_dict(), other.state_dict()
    changed = (
        {key for key in before if not torch.equal(before[key], after[key])} if before.keys() == after.keys() else None
    )
    assert changed is not None
    assert {key.rpartition(".")[2] for key in changed} <= {"weight", "bias"}
    assert len({key.rpartition(".")[0] for key in changed}) == 1
    assert other(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


def test_the_new_layer_depends_on_the_seed_alone() -> None:
    network = GraphNetwork(capture(small_net(), (1, 1, 8, 8)))
    weights = [with_classes(network, NAMES, seed).state_dict() for seed in (1, 1, 2)]
    last = "11.weight"
    assert torch.equal(weights[0][last], weights[1][last])
    assert not torch.equal(weights[0][last], weights[2][last])


def test_an_answer_of_two_layers_cannot_be_replaced() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(64, 10), nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            flat = x.flatten(1)
            return self.one(flat) + self.two(flat)

    with pytest.raises(UsageError, match="cannot be replaced"):
        with_classes(GraphNetwork(capture(Two(), (1, 1, 8, 8))), NAMES)
