"""Masked == removed, on random graphs and block by block."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketcnn.compression.coupling import couple, mask, remove
from tests.support.random_graphs import BLOCKS, random_graph
from tests.support.removal import images_for, largest_difference, outputs, removal_error, some_classes

EXACT = 1e-10
"""In double precision only the order of additions differs."""


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    blocks=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=6),
    seed=st.integers(0, 2**20),
    share=st.floats(0.05, 1.0),
    multiple=st.sampled_from((1, 1, 2, 4)),
)
def test_a_random_graph_without_channels_equals_the_graph_with_them_masked(
    blocks: list[str], seed: int, share: float, multiple: int
) -> None:
    graph = random_graph(blocks, seed)
    coupling = couple(graph)
    classes = some_classes(coupling, seed, share, multiple)
    assert removal_error(graph, classes, coupling) < EXACT


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_every_block_can_be_pruned_and_stays_exact(block: str) -> None:
    changes = []
    for seed in range(6):
        graph = random_graph(["conv", block, "conv"], seed)
        coupling = couple(graph)
        classes = some_classes(coupling, seed, 0.6)
        assert removal_error(graph, classes, coupling) < EXACT
        images = images_for(graph)
        changes.append(largest_difference(outputs(graph, images), outputs(mask(graph, classes, coupling), images)))
    assert sorted(changes)[1] > 1e-6, "the masked channels must matter, or the comparison proves nothing"


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_removal_in_two_steps_equals_masking_both(block: str) -> None:
    """A pruned graph is a graph like any other: it can be pruned again."""
    graph = random_graph([block], 3)
    once = remove(graph, some_classes(couple(graph), 1, 0.3))
    assert removal_error(once, some_classes(couple(once), 2, 0.3)) < EXACT
