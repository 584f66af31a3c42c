"""Widths from a latency curve: the corners of its steps."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.compression.coupling import channel_groups, couple
from pocketcnn.compression.pruning.meta_graph import MetaGraph
from pocketcnn.compression.pruning.prune import PruneSettings, plan
from pocketcnn.compression.pruning.widths import corners, efficient_widths, latency_curve
from pocketcnn.graph import Graph
from tests.support.small_digits import trained_network

FREE = PruneSettings(multiple=1, min_channels=1, floor=0.0)


def stairs(tile: int) -> dict[int, float]:
    """Channels are computed in tiles."""
    return {width: 1.0 + ceil(width / tile) for width in range(1, 41)}


@pytest.mark.parametrize("tile", [4, 8, 16])
def test_of_stairs_the_corners_are_whole_tiles(tile: int) -> None:
    assert corners(stairs(tile)) == tuple(sorted({*range(tile, 41, tile), 40}))


def test_of_a_slope_every_width_is_worth_it() -> None:
    assert corners({width: 2.0 * width for width in range(1, 11)}) == tuple(range(1, 11))


def test_a_narrower_layer_that_is_slower_is_not_chosen() -> None:
    """One user's network became three times slower when it was pruned, until its widths were multiples of 16."""
    curve = {width: (1.0 if width % 16 == 0 else 3.0) * width for width in range(1, 65)}
    assert set(corners(curve) or ()) >= {16, 32, 48, 64}
    assert all(width % 16 == 0 or width < 16 for width in corners(curve) or ())


def test_where_latency_does_not_fall_there_is_no_choice() -> None:
    assert corners({1: 3.0, 2: 2.0, 3: 2.0}) is None
    assert corners({5: 1.0}) is None


def test_a_narrowest_form_that_is_slow_does_not_hide_the_fastest() -> None:
    assert corners({1: 2.0, 2: 1.0, 3: 2.0}) == (2, 3)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=30))
def test_no_width_that_is_kept_is_slower_than_a_wider_one(times: list[float]) -> None:
    kept = corners(dict(enumerate(times, start=1)))
    if kept is not None:
        latencies = [times[width - 1] for width in kept]
        assert kept[-1] == len(times)
        assert latencies == sorted(latencies)
        assert len(set(latencies)) == len(latencies)


def tiled_seconds(graph: Graph) -> float:
    """A target that computes output channels of convolutions in tiles of 6."""
    return sum(
        ceil(node.shape[0] / 6) * graph.tensors[node.tensors["weight"]][0].numel() * 1e-6
        for node in graph.nodes
        if node.op == "conv2d"
    )


def test_pruning_chooses_the_widths_of_the_target() -> None:
    network = trained_network()
    bound = 0.6 * tiled_seconds(network.graph)
    found = plan(network.graph, lambda graph: tiled_seconds(graph) <= bound, FREE, by_shape=True, seconds=tiled_seconds)
    pruned = found.apply(network.graph)
    assert tiled_seconds(pruned) <= bound
    whole = {node.name: node.shape[0] for node in network.graph.nodes if node.op == "conv2d"}
    wide = {name: width for name, width in whole.items() if width > 16}  # what reads these costs little: stairs
    narrowed = [pruned[name].shape[0] for name, width in wide.items() if pruned[name].shape[0] < width]
    assert len(narrowed) >= 2
    assert all(width % 6 == 0 for width in narrowed)


def test_the_curve_is_asked_for_few_widths_of_a_wide_group() -> None:
    graph = trained_network().graph
    coupling = couple(graph)
    group = max(channel_groups(coupling), key=lambda group: len(group.units))
    curve = latency_curve(MetaGraph.of(graph, coupling, at_inference=True), group, tiled_seconds)
    assert max(curve) == len(group.units)
    assert len(curve) <= 25
    assert len(efficient_widths(MetaGraph.of(graph, coupling, at_inference=True), [group], tiled_seconds)) == 1
