"""Pruning that ends before its bound says which layers keep their channels, and which operation is the reason."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pocketcnn.compression.coupling import couple
from pocketcnn.compression.coupling.frozen import frozen_layers, why_frozen
from pocketcnn.compression.pruning.prune import plan_ratios, prune
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.graph import OPS, Graph, GraphNetwork, capture
from pocketcnn.graph.ops.facts import ChannelRule


class Network(nn.Module):
    """Two convolutions with an activation each, then the classifier."""

    def __init__(self, between: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.between, self.after, self.classifier = between, nn.ReLU(), nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.after(self.second(self.between(self.first(x)))).mean((2, 3)))


def graph_with(between: nn.Module) -> Graph:
    return capture(Network(between), (1, 3, 8, 8))


@pytest.fixture
def unknown_silu(monkeypatch: pytest.MonkeyPatch) -> None:
    """SiLU as an operation of which nobody said how its channels go together."""
    ops = {**OPS, "silu": replace(OPS["silu"], channels=ChannelRule.UNKNOWN)}
    monkeypatch.setattr("pocketcnn.compression.coupling.rules.OPS", ops)


def test_nothing_is_said_of_layers_that_can_lose_channels() -> None:
    graph = graph_with(nn.SiLU())
    assert frozen_layers(graph, couple(graph)) == ()
    assert why_frozen(graph, couple(graph)) == ""


@pytest.mark.usefixtures("unknown_silu")
def test_an_operation_without_a_rule_is_the_reason() -> None:
    graph = graph_with(nn.SiLU())
    (found,) = frozen_layers(graph, couple(graph))
    assert (found.reason, found.nodes, found.layers) == ("pruning has no rule for silu", ("between",), ("first",))
    assert found.madds == graph.madds(graph["first"])


@pytest.mark.usefixtures("unknown_silu")
def test_the_reason_is_in_the_message() -> None:
    with pytest.raises(BudgetNotMet, match=r"1 of 3 layers, with 8\.6% of .* no rule for silu \(between\)"):
        prune(GraphNetwork(graph_with(nn.SiLU())), macs=0.001)


def test_neighbouring_channels_are_a_reason() -> None:
    graph = graph_with(nn.LocalResponseNorm(3))
    with pytest.raises(BudgetNotMet, match=r"its neighbours in local_response_norm \(between\)"):
        prune(GraphNetwork(graph), macs=0.001)


@pytest.mark.usefixtures("unknown_silu")
def test_a_ratio_that_cannot_be_kept_says_why() -> None:
    with pytest.raises(UsageError, match=r"cannot be pruned: 'first' \(pruning has no rule for silu \(between\)\)"):
        plan_ratios(graph_with(nn.SiLU()), {"first": 0.5})
    with pytest.raises(UsageError, match=r"'classifier' \(it is the network's output\)"):
        plan_ratios(graph_with(nn.SiLU()), {"classifier": 0.5})


@pytest.mark.usefixtures("unknown_silu")
def test_many_nodes_of_one_operation_are_one_reason() -> None:
    layers = [nn.Conv2d(3, 8, 1), *(part for _ in range(4) for part in (nn.SiLU(), nn.Conv2d(8, 8, 1)))]
    graph = capture(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 16, 2)), (1, 3, 4, 4))
    assert "cannot be pruned: pruning has no rule for silu (1 and 3 more)." in why_frozen(graph, couple(graph))
