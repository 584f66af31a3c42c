"""Residual blocks that go: found where there is a way around them, and the least missed first."""

import pytest
import torch
from torch import nn

from pocketcnn.compression.pruning.residual_blocks import remove_blocks, residual_blocks
from pocketcnn.cost.counting import total_madds
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.layers import ConvNormAct
from pocketcnn.layers.shuffle_units import ShuffleV2Unit
from pocketcnn.models import create
from tests.support.removal import images_for, outputs, randomise
from tests.support.small_digits import Residual, accuracy, trained_network, training_images


def captured(name: str) -> Graph:
    return capture(randomise(create(name, classes=10)), (1, 3, 64, 64))


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("resnet18", 5), ("mobilenet_v2", 10), ("shufflenet_v2", 13), ("mobilenet_v3_small", 6), ("mobilenet_v1", 0)],
)  # fmt: skip
def test_the_blocks_of_the_papers_are_found(name: str, blocks: int) -> None:
    """All of a stage but the first, which has no way around it; 4 + 8 + 4 units less 3 for ShuffleNetV2."""
    assert len(residual_blocks(captured(name))) == blocks


def test_a_residual_block_that_is_gone_is_the_identity() -> None:
    network = randomise(nn.Sequential(ConvNormAct(1, 8), Residual(8, 12, 3), Residual(8, 12, 5), nn.Conv2d(8, 4, 1)))
    graph = capture(network, (1, 1, 8, 8))
    images = images_for(graph)
    for place, block in zip((1, 2), residual_blocks(graph), strict=True):
        expected = nn.Sequential(*(nn.Identity() if at == place else part for at, part in enumerate(network)))
        assert torch.allclose(outputs(block.removed_from(graph), images), expected(images), atol=1e-5)


def test_a_unit_of_shufflenet_that_is_gone_lets_both_halves_pass() -> None:
    network = randomise(create("shufflenet_v2", classes=10))
    graph = capture(network, (1, 3, 64, 64))
    unit = next(unit for unit in network.modules() if isinstance(unit, ShuffleV2Unit) and unit.split)
    unit.branch = nn.Sequential()
    images = images_for(graph)
    shallower = residual_blocks(graph)[0].removed_from(graph)
    assert torch.allclose(outputs(shallower, images), network(images), atol=1e-4)


def test_a_block_that_adds_nothing_goes_first() -> None:
    network = trained_network()
    graph = network.graph
    blocks = residual_blocks(graph)
    assert len(blocks) == 3
    idle = blocks[1]
    norm = next(name for name in graph[idle.output].inputs if name != idle.around)
    tensors = dict(graph.tensors)
    for role in ("weight", "bias"):
        name = graph[norm].tensors[role]
        tensors[name] = torch.zeros_like(tensors[name])
    graph = graph.rebuilt(tensors=tensors)
    images = training_images()[0][:256]
    whole = total_madds(graph)
    removed = remove_blocks(graph, lambda graph: total_madds(graph) < whole, images)
    assert removed.fits
    assert [block.output for block in removed.blocks] == [idle.output]
    assert removed.divergence < 0.05


def test_blocks_go_until_the_bound_holds_or_none_is_left() -> None:
    network = trained_network()
    images = training_images()[0][:256]
    bound = 0.5 * total_madds(network.graph)
    found = remove_blocks(network.graph, lambda graph: total_madds(graph) <= bound, images)
    assert found.fits == (total_madds(found.graph) <= bound)
    never = remove_blocks(network.graph, lambda graph: False, images)
    assert len(never.blocks) == 3
    assert not never.fits
    assert not residual_blocks(never.graph)
    one = remove_blocks(network.graph, lambda graph: False, images, max_blocks=1)
    assert len(one.blocks) == 1
    assert accuracy(GraphNetwork(one.graph)) > 0.3  # of ten classes: two blocks still work
