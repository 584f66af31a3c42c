"""Quantization: the arithmetic by its definition, and what it does to a trained network."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.compression.quantization import quantize
from pocketcnn.compression.quantization.calibrate import METHODS, ObservedRange, affine_format
from pocketcnn.compression.quantization.placement import Placement, placements
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, WeightFormat, capture, for_inference
from pocketcnn.graph.fake_quantize import fake_quantize_activation, fake_quantize_weight, quantize_activation
from tests.support.quantized import settled

FINITE = st.floats(-1e4, 1e4, width=32)


@given(low=FINITE, high=FINITE)
def test_a_format_covers_its_range_and_has_an_exact_zero(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    form = affine_format(low, high)
    ends = torch.tensor([min(low, 0.0), max(high, 0.0), 0.0])
    stored = fake_quantize_activation(ends, form)
    assert stored[2] == 0
    assert torch.all((stored - ends).abs() <= form.scale * 0.5 * (1 + 1e-4) + form.scale * 0.5)


@given(values=st.lists(FINITE, min_size=1, max_size=40), low=FINITE, high=FINITE)
def test_integers_are_those_of_onnx_quantize_linear(values: list[float], low: float, high: float) -> None:
    form = affine_format(min(low, high), max(low, high))
    x = np.array(values, dtype=np.float32)
    expected = np.clip(np.rint(x / np.float32(form.scale)) + form.zero_point, 0, 255)
    assert np.array_equal(quantize_activation(torch.from_numpy(x), form).numpy(), expected)


@given(values=st.lists(FINITE, min_size=1, max_size=40))
def test_a_stored_value_is_stored_as_itself(values: list[float]) -> None:
    form = affine_format(-3.0, 5.0)
    once = fake_quantize_activation(torch.tensor(values), form)
    assert torch.equal(fake_quantize_activation(once, form), once)


@given(weights=st.lists(FINITE, min_size=4, max_size=4))
def test_weights_are_within_half_a_step_of_their_integers(weights: list[float]) -> None:
    weight = torch.tensor(weights).reshape(2, 2)
    scale = (weight.abs().amax(1) / 127).clamp_min(1e-30)
    error = (fake_quantize_weight(weight, scale, WeightFormat(scale="s")) - weight).abs()
    assert torch.all(error <= scale.reshape(2, 1) * 0.5 * (1 + 1e-5) + 1e-30)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_keeps_most_of_a_normal_distribution(method: str) -> None:
    seen = ObservedRange()
    sample = torch.randn(20000, generator=torch.Generator().manual_seed(0))
    seen.see(sample)
    error = fake_quantize_activation(sample, METHODS[method](seen, 8)) - sample
    assert 10 * torch.log10(sample.var() / error.var()) > 35  # 8 bits give about 40 dB


def test_mse_is_never_worse_than_minmax_and_better_with_an_outlier() -> None:
    seen = ObservedRange()
    sample = torch.cat([torch.randn(5000, generator=torch.Generator().manual_seed(0)), torch.tensor([40.0])])
    seen.see(sample)
    errors = {
        name: float((fake_quantize_activation(sample, METHODS[name](seen, 4)) - sample).square().mean())
        for name in ("minmax", "mse")
    }
    assert errors["mse"] < errors["minmax"]


@pytest.mark.parametrize("side", [7, 8, 15, 28])
def test_calibration_looks_at_every_column_of_a_map(side: int) -> None:
    maps = torch.randn(64, 32, side, side, generator=torch.Generator().manual_seed(0))
    maps[..., 0] = 0
    seen = ObservedRange()
    seen.see(maps)
    assert abs(float(seen.sample().std() / maps.std()) - 1) < 0.05
    assert float(METHODS["mse"](seen, 8).scale) > 0.7 * float(METHODS["minmax"](seen, 8).scale)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
def test_the_quantized_network_stays_close(name: str) -> None:
    net = settled(name)
    images = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    quantized = quantize(net, images).eval()
    with torch.inference_mode():
        exact, stored = net.eval()(images), quantized(images)
    assert 10 * torch.log10(exact.var() / (exact - stored).var()) > 20


def test_every_convolution_and_linear_layer_gets_integers_and_nothing_is_quantized_inside_a_fused_pair() -> None:
    quantized = quantize(settled("mobilenet_v3_small"), torch.randn(4, 3, 16, 16))
    graph = quantized.graph
    layers = {node.tensors["weight"] for node in graph.nodes if node.op in ("conv2d", "linear")}
    assert set(quantized.numerics.weights) == layers
    places = placements(graph)
    fused = {name for name, place in places.items() if place is Placement.FUSED}
    assert fused
    assert not fused & set(quantized.numerics.activations)
    assert graph.output not in quantized.numerics.activations
    for node in graph.nodes:
        for source in node.inputs:
            assert source in quantized.numerics.activations or source in fused


def test_moved_values_keep_the_format_of_their_source() -> None:
    class Moves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            self.head = nn.Linear(8 * 4 * 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = nn.functional.channel_shuffle(torch.relu(self.conv(x)), 2)
            return self.head(nn.functional.max_pool2d(y, 2).flatten(1))

    quantized = quantize(GraphNetwork(capture(Moves(), (1, 3, 8, 8))), torch.randn(4, 3, 8, 8))
    formats = quantized.numerics.activations
    moved = [node for node in quantized.graph.nodes if node.op in ("channel_shuffle", "max_pool", "reshape")]
    assert len(moved) == 3
    assert all(formats[node.name] == formats[node.inputs[0]] for node in moved)


def test_a_channel_without_weights_keeps_its_bias() -> None:
    conv = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        conv.weight[1] = 0
        conv.bias.copy_(torch.tensor([0.1, 0.7, -0.3, 2.0]))
    net = GraphNetwork(capture(nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)), (1, 3, 2, 2)))
    quantized = quantize(net, torch.randn(8, 3, 2, 2))
    seen: dict[str, torch.Tensor] = {}
    quantized.eval().run(torch.zeros(1, 3, 2, 2), lambda node, value: seen.__setitem__(node.name, value))
    step = quantized.numerics.activations["1"].scale
    assert (seen["1"][0, :, 0, 0] - torch.tensor([0.1, 0.7, 0.0, 2.0])).abs().max() <= step


def test_the_quantized_network_trains_and_gradients_reach_every_weight() -> None:
    quantized = quantize(settled(), torch.randn(8, 3, 16, 16)).train()
    quantized(torch.randn(8, 3, 16, 16)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in quantized.parameters())
    assert sum(float(p.grad.abs().sum()) for p in quantized.parameters() if p.grad is not None) > 0


def test_gradients_stop_where_a_value_saturates() -> None:
    x = torch.tensor([-1.0, 0.5, 9.0], requires_grad=True)
    fake_quantize_activation(x, affine_format(0.0, 1.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_quantizing_does_not_change_the_network_it_is_given() -> None:
    net = settled()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    quantize(net, torch.randn(4, 3, 16, 16))
    assert not net.numerics
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_skipped_nodes_stay_in_float() -> None:
    net = settled()
    head = next(node.name for node in for_inference(net.graph).nodes if node.op == "linear")
    quantized = quantize(net, torch.randn(4, 3, 16, 16), skip=frozenset({head}))
    assert f"{head}.weight" not in quantized.numerics.weights


def test_fewer_bits_lose_more() -> None:
    net = settled()
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        exact = net.eval()(images)
        errors = [
            float((quantize(net, images, bits=bits).eval()(images) - exact).square().mean()) for bits in (4, 6, 8)
        ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(
    ("images", "method", "message"),
    [
        (torch.zeros(0, 3, 16, 16), "mse", "at least one image"),
        (torch.full((1, 3, 16, 16), float("nan")), "mse", "infinite or NaN"),
        (torch.zeros(1, 3, 16, 16), "best", "no calibration method 'best'"),
    ],
)
def test_mistakes_are_named(images: torch.Tensor, method: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        quantize(settled(), images, method=method)


def test_a_quantized_network_is_not_quantized_again() -> None:
    images = torch.randn(4, 3, 16, 16)
    with pytest.raises(UsageError, match="already quantized"):
        quantize(quantize(settled(), images), images)
