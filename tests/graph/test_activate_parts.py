"""Activations of concatenations are computed part by part, and nothing else changes."""

import pytest
import torch
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.graph.passes.activate_parts import activate_parts


class Joined(nn.Module):
    """Two convolutions, concatenated, activated; the concatenation is read once more where `again` says so."""

    def __init__(self, again: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.again = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 3, padding=1), again

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.first(x), self.second(x)], 1)
        return joined.relu() + joined if self.again else joined.relu() * 2.0


def operations(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def answers(graph: Graph) -> Tensor:
    with torch.inference_mode():
        result: Tensor = GraphNetwork(graph).eval()(torch.randn(graph_shape(graph), generator=torch.manual_seed(0)))
    return result


def graph_shape(graph: Graph) -> tuple[int, ...]:
    return (2, *graph.input_shape)


def test_the_parts_are_activated_before_they_are_joined() -> None:
    graph = capture(Joined().eval(), (1, 3, 8, 8))
    moved = activate_parts(graph)
    assert operations(moved)[:6] == ["input", "conv2d", "conv2d", "relu", "relu", "concat"]
    assert torch.equal(answers(moved), answers(graph))


def test_a_concatenation_that_is_read_elsewhere_stays_as_it_is() -> None:
    graph = capture(Joined(again=True).eval(), (1, 3, 8, 8))
    assert activate_parts(graph).nodes == graph.nodes


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v1", "mobilenet_v2"])
def test_networks_answer_the_same(name: str) -> None:
    graph = capture(pc.create(name, classes=5).eval(), (1, 3, 64, 64))
    assert torch.equal(answers(activate_parts(graph)), answers(graph))


def test_squeezenets_fire_modules_store_no_value_before_its_activation() -> None:
    network = GraphNetwork(capture(pc.create("squeezenet1_1", classes=5).eval(), (1, 3, 64, 64)))
    quantized = pc.quantize(network, torch.randn(4, 3, 64, 64)).graph
    before = [
        node.name for node in quantized.nodes if node.op == "conv2d" and node.name in quantized.numerics.activations
    ]
    assert before == []
