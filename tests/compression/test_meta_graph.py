"""The outline of a graph: what narrowed forms of it cost by their outlines is what the narrowed graphs cost."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.compression.coupling import couple, remove
from pocketcnn.compression.pruning.meta_graph import MetaGraph
from pocketcnn.compression.pruning.prune import PruneSettings, ordered
from pocketcnn.cost import count
from pocketcnn.cost.counting import total_madds
from pocketcnn.graph import Graph, capture, for_inference
from pocketcnn.models import create
from pocketcnn.targets.latency.kernels import split
from tests.support.random_graphs import BLOCKS, random_graph


def some_classes(graph: Graph, seed: int) -> list[int]:
    """Up to half of the units of each group, as a schedule takes them: something of every value is left."""
    order = ordered(graph, couple(graph), PruneSettings("random", multiple=1, min_channels=1, seed=seed))
    counts = tuple(order.rounded(group, len(order.removable_units(group)) // 2) for group in range(len(order.groups)))
    return order.classes(counts)


def assert_costs_as(graph: Graph, classes: list[int]) -> None:
    narrowed = remove(graph, classes)
    plain = MetaGraph.of(graph).without(classes)
    assert [node.shape for node in plain.nodes] == [node.shape for node in narrowed.nodes]
    shown = MetaGraph.of(graph, at_inference=True).without(classes)
    assert all(tensor.is_meta for tensor in shown.tensors.values() if tensor.is_floating_point())
    assert total_madds(shown) == total_madds(narrowed)
    mine, real = (for_inference(each) for each in (shown, narrowed))
    assert [(node.name, node.op, node.shape) for node in mine.nodes] == [
        (node.name, node.op, node.shape) for node in real.nodes
    ]
    assert {name: tensor.shape for name, tensor in mine.tensors.items()} == {
        name: tensor.shape for name, tensor in real.tensors.items()
    }
    assert split(mine) == split(real)
    assert count(mine) == count(real)


@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=5), st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_an_outline_costs_what_the_narrowed_graph_costs(kinds: list[str], seed: int) -> None:
    graph = random_graph(kinds, seed)
    assert_costs_as(graph, some_classes(graph, seed))


ZOO: list[Any] = [
    ("mobilenet_v3_small", {}),
    ("shufflenet_v2", {}),
    ("squeezenet1_1", {}),
    ("condensenet_86", {"depth": 14}),  # its three dense blocks, two layers each
    pytest.param("condensenet_74", {}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "options"), ZOO)
def test_so_does_that_of_a_network_of_the_zoo(name: str, options: dict[str, Any]) -> None:
    graph = capture(create(name, classes=10, **options), (1, 3, 64, 64))
    assert_costs_as(graph, some_classes(graph, 1))
