"""Bias correction and adaptive rounding: layer by layer, against what the float layer makes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pocketcnn.compression.quantization import AdaRoundSettings, QuantizeSettings, quantize
from pocketcnn.compression.quantization.layers_in_turn import layers_of
from pocketcnn.compression.sampled_positions import patches, sample_positions, values_at
from pocketcnn.graph import Graph, GraphNetwork, Node, capture, for_inference
from tests.support.quantized import answers, decibels, noise, random_network, settled
from tests.support.seeds import lower_bound

QUICK = AdaRoundSettings(iterations=60, samples=512, batch=128, learning_rate=0.05)


def channel_means(network: GraphNetwork, images: torch.Tensor) -> dict[str, torch.Tensor]:
    means: dict[str, torch.Tensor] = {}

    def watch(node: Node, value: torch.Tensor) -> None:
        if node.op in ("conv2d", "linear"):
            means[node.name] = value.mean(dim=[axis for axis in range(value.ndim) if axis != 1])

    with torch.inference_mode():
        network.eval().run(images, watch)
    return means


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small"])
def test_corrected_layers_make_the_means_of_the_float_layers(name: str) -> None:
    images = noise(32)
    exact = channel_means(GraphNetwork(for_inference(settled(name).graph)), images)
    wrong = {}
    for corrected in (False, True):
        quantized = quantize(settled(name), images, settings=QuantizeSettings(weight_bits=4, bias_correction=corrected))
        found = channel_means(quantized, images)
        wrong[corrected] = sum(float((found[key] - exact[key]).abs().mean() / exact[key].std()) for key in exact)
    assert wrong[True] < 0.2 * wrong[False]


def test_a_layer_without_a_bias_stays_without() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 3))
    network = GraphNetwork(capture(module, (1, 3, 16, 16)))
    plain, corrected = (
        quantize(network, noise(8), settings=QuantizeSettings(weight_bits=3, bias_correction=way)).graph.tensors
        for way in (False, True)
    )
    changed = {name for name, tensor in corrected.items() if not torch.equal(tensor, plain[name])}
    assert changed == {"3.bias"}


def weights_in_steps(graph: Graph, layer: Node) -> torch.Tensor:
    name = layer.tensors["weight"]
    scale = graph.tensors[graph.numerics.weights[name].scale]
    return graph.tensors[name] / scale.reshape(-1, *(1,) * (graph.tensors[name].ndim - 1))


def test_adaptive_rounding_rounds_up_where_all_errors_of_rounding_down_add_up() -> None:
    """Inputs around 1, and weights 0.4 of a step above an integer: rounded down, 31 errors add up to 12 steps."""
    layer = nn.Linear(32, 8)
    with torch.no_grad():
        layer.weight.copy_((torch.randint(-6, 6, (8, 32), generator=torch.Generator().manual_seed(0)) + 0.4) / 7)
        layer.weight[:, 0] = 1.0
    network = GraphNetwork(capture(nn.Sequential(nn.Flatten(), layer), (1, 2, 4, 4)))
    images, unseen = (1 + 0.1 * torch.randn(64, 2, 4, 4, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    errors = {}
    for rounding in ("nearest", "adaptive"):
        plan = QuantizeSettings(weight_bits=4, weight_range="max", bias_correction=False, rounding=rounding)
        quantized = quantize(network, images, settings=plan.with_(adaround=AdaRoundSettings(samples=512)))
        errors[rounding] = float((answers(network, unseen) - answers(quantized, unseen)).square().mean())
    assert errors["nearest"] == pytest.approx((31 * 0.4 / 7) ** 2, rel=0.05)
    assert errors["adaptive"] < 0.1 * errors["nearest"]


def test_adaptive_rounding_brings_networks_nearer_to_float() -> None:
    """On images that it has not seen, over networks and images drawn anew."""
    plan = QuantizeSettings(weight_bits=3, bias_correction=False, adaround=QUICK)

    def gain(seed: int) -> float:
        network, images, unseen = random_network(seed), noise(32, seed=100 + seed), noise(64, seed=200 + seed)
        exact = answers(network, unseen)
        nearest, adaptive = (
            decibels(exact, answers(quantize(network, images, settings=plan.with_(rounding=rounding)), unseen))
            for rounding in ("nearest", "adaptive")
        )
        return adaptive - nearest

    assert lower_bound([gain(seed) for seed in range(8)]) > 1


@pytest.mark.parametrize("name", ["mobilenet_v1"])
def test_adaptive_rounding_stays_within_a_step(name: str) -> None:
    module, images = settled(name), noise(16)
    plain = QuantizeSettings(weight_bits=4, bias_correction=False, adaround=QUICK.model_copy(update={"iterations": 20}))
    ways = {
        rounding: quantize(module, images, settings=plain.with_(rounding=rounding))
        for rounding in ("nearest", "adaptive")
    }
    moved = 0
    for layer in layers_of(ways["adaptive"].graph):
        before, after = (weights_in_steps(ways[way].graph, layer) for way in ("nearest", "adaptive"))
        assert (after - after.round()).abs().max() < 1e-3, "the weights lie on integers"
        assert (after - before.clamp(-7, 7)).abs().max() < 1 + 1e-3
        moved += int((after.round() - before.clamp(-7, 7).round()).abs().sum())
    assert moved > 0


def test_adaptive_rounding_is_the_same_every_time() -> None:
    plan = QuantizeSettings(weight_bits=4, rounding="adaptive", adaround=AdaRoundSettings(iterations=20, samples=64))
    first, second = (quantize(settled("mobilenet_v1"), noise(8), settings=plan) for _ in range(2))
    assert all(torch.equal(value, second.graph.tensors[name]) for name, value in first.graph.tensors.items())


@settings(max_examples=40, deadline=None)
@given(
    groups=st.sampled_from((1, 2, 4)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    seed=st.integers(0, 100),
)
def test_patches_times_weights_are_the_convolution(groups, kernel, stride, padding, dilation, seed) -> None:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 4, 7, 9, generator=random)
    weight = torch.randn(8, 4 // groups, *kernel, generator=random)
    made = F.conv2d(x, weight, None, stride, padding, dilation, groups)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = Node("conv", "conv2d", ("input",), tuple(made.shape[1:]), attrs, {"weight": "w"})
    places = sample_positions(layer.shape, 3, 50, random)
    assert len(torch.unique(torch.stack([places.image, places.row, places.column]), dim=1).T) == len(places.image)
    read = patches(layer, x, tuple(weight.shape), places)
    found = torch.einsum("pgk,gnk->pgn", read, weight.reshape(groups, 8 // groups, -1)).reshape(len(read), 8)
    assert torch.allclose(found, values_at(made, places), atol=1e-4)
