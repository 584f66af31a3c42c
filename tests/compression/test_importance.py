"""What each criterion says about channels whose worth is known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pocketcnn.compression.coupling import Coupling, couple, mask
from pocketcnn.compression.pruning.importance import CRITERIA, CriterionData, criterion
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph
from tests.support.random_graphs import Sketch, random_graph
from tests.support.removal import outputs

BLOCKS = ("inverted_residual", "shufflenet_v2", "shufflenet_v1", "fire")


def batches(graph: Graph, count: int = 2, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 6, *graph.input_shape, generator=draw, dtype=torch.float64)
    return list(zip(images, torch.randint(5, (count, 6), generator=draw), strict=True))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return random_graph(BLOCKS, 11)


@pytest.fixture(scope="module")
def coupling(graph: Graph) -> Coupling:
    return couple(graph)


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_every_removable_class_has_a_score_and_scoring_is_repeatable(
    name: str, graph: Graph, coupling: Coupling
) -> None:
    evidence = CriterionData(batches=batches(graph))
    scores = criterion(name)(graph, coupling, evidence)
    assert set(coupling.removable().tolist()) <= scores.keys()
    assert not any(np.isnan(list(scores.values())))
    assert scores == criterion(name)(graph, coupling, evidence)


def test_an_unknown_criterion_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'magnitude'"):
        criterion("magnitud")


def two_layers(normalized: bool = True) -> tuple[Graph, str, str]:
    """A graph of two convolutions, and their names."""
    s = Sketch(4)
    first = s.conv("input", 6, kernel=3)
    second = s.conv(s.add("relu", s.norm(first) if normalized else first), 6)
    graph = s.graph(s.linear(s.add("mean", second, axes=(1, 2), keepdim=False), 5))
    return graph, first, second


def least(graph: Graph, layer: str, name: str, evidence: CriterionData) -> int:
    """The output channel of `layer` with the lowest score."""
    coupling = couple(graph)
    scores = criterion(name)(graph, coupling, evidence)
    return int(np.argmin([scores[item] for item in coupling.values[layer].classes.tolist()]))


class TestMagnitude:
    def test_channels_that_are_hardly_read_come_first(self) -> None:
        graph, first, second = two_layers()
        graph.tensors[graph[second].tensors["weight"]][:, 2] *= 1e-3
        assert least(graph, first, "magnitude", CriterionData()) == 2

    def test_normalized_channels_are_as_large_as_their_gamma(self) -> None:
        graph, first, _ = two_layers()
        coupling = couple(graph)
        before = criterion("magnitude")(graph, coupling, CriterionData())
        graph.tensors[graph[first].tensors["weight"]][2] *= 1e-3
        assert criterion("magnitude")(graph, coupling, CriterionData()) == before
        (norm,) = graph.users(first)
        graph.tensors[norm.tensors["weight"]][3] = 1e-3
        assert least(graph, first, "magnitude", CriterionData()) == 3

    def test_others_are_as_large_as_their_filter(self) -> None:
        graph, first, _ = two_layers(normalized=False)
        graph.tensors[graph[first].tensors["weight"]][4] *= 1e-3
        assert least(graph, first, "magnitude", CriterionData()) == 4


class TestEnergy:
    def test_it_is_the_error_of_the_reading_layer_without_the_channel(self) -> None:
        """Root mean square of what one channel adds to the outputs of the layer that reads it, measured by leaving it out."""
        graph, first, second = two_layers()
        ((images, labels),) = batches(graph, 1)
        coupling = couple(graph)
        scores = criterion("energy")(graph, coupling, CriterionData(batches=[(images, labels)]))
        classes = coupling.values[first].classes.tolist()
        whole = outputs(graph.rebuilt(output=second), images)
        errors = []
        for item in classes:
            without = outputs(mask(graph, [item], coupling).rebuilt(output=second), images)
            errors.append((whole - without).square().sum(1).mean().sqrt().item())
        shares = np.array([scores[item] for item in classes])
        assert shares == pytest.approx(np.array(errors) / np.mean(errors))

    def test_it_needs_images(self, graph: Graph, coupling: Coupling) -> None:
        with pytest.raises(UsageError, match="'energy' needs batches"):
            criterion("energy")(graph, coupling, CriterionData())


class TestTaylor:
    def test_it_needs_images(self, graph: Graph, coupling: Coupling) -> None:
        with pytest.raises(UsageError, match="'taylor' needs batches"):
            criterion("taylor")(graph, coupling, CriterionData())

    def test_it_is_the_derivative_of_the_loss_along_the_removal(self) -> None:
        """What the loss changes by when a small part of a class is masked, in units of the layer's mean."""
        graph, first, second = two_layers()
        ((images, labels),) = batches(graph, 1)
        coupling = couple(graph)
        scores = criterion("taylor")(graph, coupling, CriterionData(batches=[(images, labels)]))
        whole = F.cross_entropy(outputs(graph, images), labels).item()
        part = 1e-5
        for layer in (first, second):
            slopes = []
            for item in coupling.values[layer].classes.tolist():
                masked = mask(graph, [item], coupling).tensors
                partly = {name: torch.lerp(value, masked[name], part) for name, value in graph.tensors.items()}
                changed = outputs(graph.rebuilt(tensors=partly), images)
                slopes.append(abs(F.cross_entropy(changed, labels).item() - whole) / part)
            found = [scores[item] for item in coupling.values[layer].classes.tolist()]
            assert found == pytest.approx(np.array(slopes) / np.mean(slopes), rel=1e-2, abs=1e-4)


class TestBatchNormScale:
    def test_it_is_the_mean_scale_and_spares_channels_without_one(self, graph: Graph, coupling: Coupling) -> None:
        scores = criterion("bn_scale")(graph, coupling, CriterionData())
        scaled = {item for node in graph.nodes if node.op == "batch_norm" and "weight" in node.tensors
                  for item in coupling.vectors[node.tensors["weight"]].tolist()}  # fmt: skip
        for item in coupling.removable().tolist():
            assert np.isfinite(scores[item]) == (item in scaled)
        node = next(node for node in graph.nodes if node.op == "batch_norm" and "weight" in node.tensors)
        item = coupling.vectors[node.tensors["weight"]][0]
        everywhere = [
            graph.tensors[name][coupling.vectors[name] == item].abs()
            for name in {n.tensors["weight"] for n in graph.nodes if n.op == "batch_norm" and "weight" in n.tensors}
        ]
        assert scores[int(item)] == pytest.approx(torch.cat(everywhere).mean().item())


def test_random_depends_on_the_seed_alone(graph: Graph, coupling: Coupling) -> None:
    scores = [criterion("random")(graph, coupling, CriterionData(seed=seed)) for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


class TestGeometricMedian:
    def test_it_is_the_sum_of_distances_to_the_other_filters(self) -> None:
        """He et al., equation 6, written out."""
        graph, first, _ = two_layers()
        coupling = couple(graph)
        scores = criterion("fpgm")(graph, coupling, CriterionData())
        filters = graph.tensors[graph[first].tensors["weight"]].flatten(1)
        sums = torch.stack([(filters - one).square().sum(1).sqrt().sum() for one in filters])
        found = [scores[item] for item in coupling.values[first].classes.tolist()]
        assert found == pytest.approx((sums / sums.mean()).tolist())

    def test_a_filter_that_the_others_stand_for_goes_first(self) -> None:
        graph, first, _ = two_layers()
        weight = graph.tensors[graph[first].tensors["weight"]]
        weight[3] = weight.mean(0)
        assert least(graph, first, "fpgm", CriterionData()) == 3
