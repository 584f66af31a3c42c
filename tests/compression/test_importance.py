"""What each criterion says about channels whose worth is known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_graphs import Sketch, random_graph
from removal_support import outputs

from pocketcnn.compression.coupling import Coupling, couple, mask
from pocketcnn.compression.importance import CRITERIA, Evidence, criterion
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph

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
    evidence = Evidence(batches=batches(graph))
    scores = criterion(name)(graph, coupling, evidence)
    assert set(coupling.removable().tolist()) <= scores.keys()
    assert not any(np.isnan(list(scores.values())))
    assert scores == criterion(name)(graph, coupling, evidence)


def test_an_unknown_criterion_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'magnitude'"):
        criterion("magnitud")


def two_layers() -> tuple[Graph, str]:
    s = Sketch(4)
    x = s.conv_norm_act("input", 6, kernel=3)
    return s.graph(s.linear(s.add("mean", s.conv(x, 6), axes=(1, 2), keepdim=False), 5)), s.nodes[1].name


class TestMagnitude:
    def test_small_filters_come_first(self) -> None:
        graph, layer = two_layers()
        weight = graph.tensors[graph[layer].tensors["weight"]]
        weight[2] *= 1e-3
        coupling = couple(graph)
        scores = criterion("magnitude")(graph, coupling, Evidence())
        classes = coupling.values[layer].classes.tolist()
        assert min(classes, key=scores.__getitem__) == classes[2]

    def test_the_scale_that_batch_norm_takes_back_does_not_count(self) -> None:
        """w and 1000 w are one filter when the running statistics follow."""
        graph, layer = two_layers()
        coupling = couple(graph)
        before = criterion("magnitude")(graph, coupling, Evidence())
        (norm,) = graph.users(layer)
        bias = graph[layer].tensors.get("bias")
        graph.tensors[graph[layer].tensors["weight"]][2] *= 1e3
        graph.tensors[norm.tensors["running_var"]][2] *= 1e6
        graph.tensors[norm.tensors["running_mean"]][2] *= 1e3
        if bias:
            graph.tensors[bias][2] *= 1e3
        after = criterion("magnitude")(graph, coupling, Evidence())
        item = coupling.values[layer].classes.tolist()[2]
        assert after[item] == pytest.approx(before[item], rel=1e-3)


class TestTaylor:
    def test_it_needs_images(self, graph: Graph, coupling: Coupling) -> None:
        with pytest.raises(UsageError, match="needs batches"):
            criterion("taylor")(graph, coupling, Evidence())

    def test_it_is_the_derivative_of_the_loss_along_the_removal(self, graph: Graph, coupling: Coupling) -> None:
        """Masking a class by a small part changes the loss by that part of the score's root."""
        ((images, labels),) = batches(graph, 1)
        scores = criterion("taylor")(graph, coupling, Evidence(batches=[(images, labels)]))
        whole = F.cross_entropy(outputs(graph, images), labels).item()
        part = 1e-5
        for item in coupling.removable().tolist()[::7]:
            masked = mask(graph, [item], coupling)
            partly = {
                n: torch.lerp(t, masked.tensors[n], part) for n, t in graph.tensors.items() if t.is_floating_point()
            }
            changed = graph.rebuilt(tensors={**graph.tensors, **partly})
            slope = (F.cross_entropy(outputs(changed, images), labels).item() - whole) / part
            if any(layer.passes and item in layer.inputs for layer in coupling.layers):
                continue  # `mask` silences the depthwise layer too, so it moves two factors at once
            assert slope**2 == pytest.approx(scores[item], rel=1e-2, abs=1e-8)


class TestBatchNormScale:
    def test_it_is_the_mean_scale_and_spares_channels_without_one(self, graph: Graph, coupling: Coupling) -> None:
        scores = criterion("bn_scale")(graph, coupling, Evidence())
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
    scores = [criterion("random")(graph, coupling, Evidence(seed=seed)) for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]
