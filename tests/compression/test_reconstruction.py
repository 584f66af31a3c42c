"""Layers that read removed channels are fitted anew: exact where nothing was lost, and better than nothing elsewhere."""

import numpy as np
import pytest
import torch

from pocketcnn.compression.coupling import Coupling, channel_groups, couple, remove
from pocketcnn.compression.pruning.prune import PruneSettings, plan
from pocketcnn.compression.pruning.reconstruction import reconstruct
from pocketcnn.compression.pruning.reconstruction.least_squares import Moments, fitted
from pocketcnn.compression.sampled_positions import patches, sample_positions_per_image, values_at
from pocketcnn.cost.counting import total_madds
from pocketcnn.graph import Graph, GraphNetwork, Node
from pocketcnn.training import recalibrate
from tests.support.random_graphs import Sketch, random_graph
from tests.support.removal import largest_difference, outputs
from tests.support.small_digits import accuracy, trained_network, training_images

BLOCKS = ("inverted_residual", "residual", "fire", "squeeze_excite", "split_and_join", "dense", "depthwise")
IMAGES = 256
NOTHING = torch.zeros(1, 2, 6, dtype=torch.float64)


def images_for(graph: Graph, count: int = IMAGES) -> torch.Tensor:
    draw = torch.Generator().manual_seed(5)
    return torch.randn(count, *graph.input_shape, generator=draw, dtype=torch.float64)


def with_copies(graph: Graph, coupling: Coupling) -> tuple[Graph, list[int]]:
    """`graph` with a channel of each group made a copy of another one of it, and the classes of the copies."""
    tensors = {name: tensor.clone() for name, tensor in graph.tensors.items()}
    copies = []
    for group in channel_groups(coupling):
        if len(group.units) < 3 or any(len(unit) > 1 for unit in group.units[:2]):
            continue
        (original,), (copy,) = group.units[:2]
        sides = {layer.weight: layer.outputs for layer in coupling.layers} | dict(coupling.vectors)
        for name, classes in sides.items():
            targets, sources = np.flatnonzero(classes == copy), np.flatnonzero(classes == original)
            tensors[name][targets] = tensors[name][sources]
        copies.append(copy)
    return graph.rebuilt(tensors=tensors), copies


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_removed_without_a_trace(seed: int) -> None:
    graph = random_graph(BLOCKS, seed)
    coupling = couple(graph)
    graph, copies = with_copies(graph, coupling)
    assert len(copies) > 4
    pruned = remove(graph, copies, coupling)
    images = images_for(graph)
    fresh = torch.randn(8, *graph.input_shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    mended = reconstruct(graph, pruned, coupling, copies, images)
    assert largest_difference(outputs(graph, fresh), outputs(pruned, fresh)) > 1e-2
    assert largest_difference(outputs(graph, fresh), outputs(mended, fresh)) < 1e-4
    assert total_madds(mended) == total_madds(pruned)


def test_linear_combinations_are_taken_over_group_by_group() -> None:
    """Without an activation between, what is left can say all that a combination of it said."""
    s = Sketch(3)
    first = s.conv("input", 8)
    second = s.conv(first, 8, kernel=3, groups=2, stride=2)
    graph = s.graph(s.linear(s.add("mean", s.add("relu", second), axes=(1, 2), keepdim=False), 5))
    coupling = couple(graph)
    for name in graph[first].tensors.values():
        rows = graph.tensors[name]
        rows[3], rows[7] = rows[0] - 2 * rows[1], 0.5 * rows[5] + rows[6]
    classes = coupling.values[first].classes[[3, 7]].tolist()
    pruned = remove(graph, classes, coupling)
    images = images_for(graph)
    mended = reconstruct(graph, pruned, coupling, classes, images)
    assert largest_difference(outputs(graph, images), outputs(pruned, images)) > 1e-2
    assert largest_difference(outputs(graph, images), outputs(mended, images)) < 1e-5


def test_it_brings_back_accuracy_before_any_fine_tuning() -> None:
    network = trained_network()
    images, labels = training_images()
    bound = 0.4 * total_madds(network.graph)
    found = plan(
        network.graph,
        lambda graph: total_madds(graph) <= bound,
        PruneSettings(criterion="energy", multiple=1),
        batches=[(images[:512], labels[:512])],
    )
    cut = found.apply(network.graph)
    mended = reconstruct(network.graph, cut, found.coupling, found.classes, images[:512])
    reached = {}
    for name, graph in (("cut", cut), ("mended", mended)):
        small = GraphNetwork(graph)
        recalibrate(small, images[:512])
        reached[name] = accuracy(small)
    assert accuracy(network) > 0.93
    assert reached["mended"] > reached["cut"] + 0.05


def test_what_lost_nothing_stays_as_it_is() -> None:
    graph = random_graph(("residual", "inverted_residual"), 1)
    assert reconstruct(graph, graph, couple(graph), (), images_for(graph, 16)) is graph


def test_patches_are_what_a_convolution_reads() -> None:
    node = Node(
        "c", "conv2d", ("x",), (5, 4, 5), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 1}, {}
    )
    draw = torch.Generator().manual_seed(1)
    value = torch.randn(3, 4, 8, 5, generator=draw)
    weight = torch.randn(5, 4, 3, 3, generator=draw)
    answer = torch.nn.functional.conv2d(value, weight, None, (2, 1), (1, 2), (1, 2))
    places = sample_positions_per_image(answer.shape[1:], 3, 6, draw)
    read = patches(node, value, tuple(weight.shape), places).reshape(3, 6, 4, 9)
    found = torch.einsum("npck,rck->npr", read, weight.flatten(2))
    assert torch.allclose(found, values_at(answer, places).reshape(3, 6, 5), atol=1e-5)
    assert torch.equal(places.of_images(1, 3).row, places.row[6:])


def problem(samples: int, noise: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(samples)
    x = torch.randn(samples, 1, 6, generator=draw, dtype=torch.float64)
    truth = torch.randn(1, 2, 6, generator=draw, dtype=torch.float64)
    y = (
        torch.einsum("sgd,grd->sgr", x, truth)
        + 3
        + noise * torch.randn(samples, 1, 2, generator=draw, dtype=torch.float64)
    )
    return x, y, truth


def moments(x: torch.Tensor, y: torch.Tensor) -> Moments:
    found = Moments.empty(1, 6, 2)
    for part in range(0, len(x), 7):
        found.add(x[part : part + 7], y[part : part + 7])
    return found


def test_least_squares_finds_weights_and_constant() -> None:
    x, y, truth = problem(80, 0.0)
    found = fitted(moments(x[:60], y[:60]), moments(x[60:], y[60:]), NOTHING, intercept=True)
    assert torch.allclose(found.weight, truth, atol=1e-6)
    assert torch.allclose(found.intercept, torch.full((1, 2), 3.0, dtype=torch.float64), atol=1e-6)


def test_it_is_ordinary_least_squares_where_samples_abound() -> None:
    x, y, _ = problem(200, 0.5)
    found = fitted(moments(x[:150], y[:150]), moments(x[150:], y[150:]), NOTHING, intercept=True)
    ones = torch.cat([x[:, 0], torch.ones(len(x), 1, dtype=torch.float64)], 1)
    expected = torch.linalg.lstsq(ones, y[:, 0]).solution.T
    assert torch.allclose(found.weight[0], expected[:, :6], atol=1e-2)


def test_good_weights_are_not_spoiled_by_noise() -> None:
    """Three samples say nothing against weights that were right: held-out ones decide."""
    x, y, truth = problem(40, 0.0)
    noisy = y[:3] + torch.randn(3, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = fitted(moments(x[:3], noisy), moments(x[3:], y[3:]), truth, intercept=True)
    assert torch.allclose(found.weight, truth, atol=1e-6)
