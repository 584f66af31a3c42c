"""Cross-layer equalization: the function stays, the ranges come together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketcnn.compression.quantization import QuantizeSettings, quantize
from pocketcnn.compression.quantization.channel_factors import channel_factors
from pocketcnn.compression.quantization.equalize import _scaled, equalize
from pocketcnn.graph import Graph, GraphNetwork, for_inference
from tests.support.quantized import answers, decibels, noise, settled
from tests.support.random_graphs import BLOCKS, random_graph
from tests.support.removal import images_for, largest_difference, outputs

WAYS = ("weights", "activations")


def with_relu6(graph: Graph, op: str) -> Graph:
    return graph.rebuilt([replace(node, op=op) if node.op in ("relu", "relu6") else node for node in graph.nodes])


def unbalanced(network: GraphNetwork, seed: int = 0) -> GraphNetwork:
    """The same function, in a form whose channels differ up to a thousandfold where factors are free."""
    graph = with_relu6(for_inference(network.graph), "relu")
    channels = channel_factors(graph)
    factor = np.exp(np.random.default_rng(seed).uniform(-3.5, 3.5, len(channels)))
    factor[~channels.free] = 1.0
    return GraphNetwork(graph.rebuilt(tensors=_scaled(graph, channels, dict(graph.tensors), factor))).eval()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    blocks=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=5),
    seed=st.integers(0, 2**20),
    way=st.sampled_from(WAYS),
)
def test_an_equalized_random_graph_computes_the_same(blocks: list[str], seed: int, way: str) -> None:
    graph = for_inference(random_graph(blocks, seed))
    images = images_for(graph)
    equalized = equalize(graph, images, QuantizeSettings(equalize=way))
    assert largest_difference(outputs(graph, images), outputs(equalized, images)) < 1e-9


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "shufflenet_v2"])
def test_networks_of_the_zoo_are_equalized_and_compute_the_same(name: str, way: str) -> None:
    network = settled(name)
    graph, images = for_inference(network.graph), noise(8)
    equalized = equalize(graph, images, QuantizeSettings(equalize=way, relu6="replace"))  # they do not reach 6
    changed = [key for key, value in equalized.tensors.items() if not torch.equal(value, graph.tensors[key])]
    assert len(changed) > len(graph.tensors) // 4
    assert decibels(answers(network, images), answers(GraphNetwork(equalized), images)) > 80


def test_equalization_repairs_a_network_whose_channels_differ_widely() -> None:
    network, images = unbalanced(settled("mobilenet_v1")), noise(16)
    exact = answers(network, images)
    found = {
        way: decibels(exact, answers(quantize(network, images, settings=QuantizeSettings(equalize=way)), images))
        for way in ("none", *WAYS)
    }
    assert found["weights"] > found["none"] + 6
    assert found["activations"] > found["none"] + 3


def test_weights_of_neighbours_get_equal_ranges() -> None:
    """Equation 11 of the paper: r1 = r2 for every channel, up to one factor a layer; before, they differ a thousandfold."""
    network = unbalanced(settled("mobilenet_v1"))
    graph = equalize(network.graph, noise(4), QuantizeSettings(equalize="weights"))
    channels = channel_factors(graph)
    made, read = {}, {}
    for layer in channels.layers:
        weight = graph.tensors[layer.weight].abs()
        made |= dict(zip(layer.outputs.tolist(), weight.reshape(len(weight), -1).amax(1).tolist(), strict=True))
        columns = weight.reshape(layer.groups, -1, weight.shape[1], weight[0, 0].numel()).amax((1, 3)).reshape(-1)
        read |= dict(zip(layer.inputs.tolist(), columns.tolist(), strict=True))
    for layer in channels.layers:
        free = [item for item in layer.outputs.tolist() if channels.free[item]]
        ratios = [made[item] / read[item] for item in free if made[item] > 0 and read[item] > 0]
        if ratios:
            assert max(ratios) / min(ratios) < 2


def test_channels_that_pass_a_kept_relu6_keep_their_scale() -> None:
    graph = for_inference(settled("mobilenet_v2").graph)
    equalized = equalize(graph, noise(8), QuantizeSettings(equalize="activations"))
    fed = {node.inputs[0] for node in graph.nodes if node.op == "relu6"}
    biases = {node.name: node.tensors["bias"] for node in graph.nodes if node.op == "conv2d"}
    kept = {name: torch.equal(graph.tensors[bias], equalized.tensors[bias]) for name, bias in biases.items()}
    assert all(kept[name] for name in fed)
    assert not all(same for name, same in kept.items() if name not in fed)


def test_relu6_is_replaced_where_it_is_asked_for() -> None:
    graph = for_inference(settled("mobilenet_v2").graph)
    assert any(node.op == "relu6" for node in graph.nodes)
    equalized = equalize(graph, noise(4), QuantizeSettings(equalize="weights", relu6="replace"))
    assert not any(node.op == "relu6" for node in equalized.nodes)


def test_gates_and_curved_activations_have_no_factors() -> None:
    graph = for_inference(settled("mobilenet_v3_small").graph)
    channels = channel_factors(graph)
    for node in graph.nodes:
        if node.op in ("hardswish", "hardsigmoid", "mul"):
            assert not channels.free[np.unique(channels.values[node.name])].any()
