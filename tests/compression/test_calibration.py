"""Ranges of activations: entropy beside the other methods, symmetric formats, and what a weight's scale is chosen by."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.compression.quantization import QuantizeSettings, quantize
from pocketcnn.compression.quantization.calibrate import METHODS, ObservedRange, affine_format, entropy, input_format
from pocketcnn.compression.quantization.entropy import entropy_range
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract, capture
from pocketcnn.graph.fake_quantize import fake_quantize_activation, fake_quantize_weight
from tests.support.quantized import noise, settled

FINITE = st.floats(-1e4, 1e4, width=32)


def seen(sample: torch.Tensor) -> ObservedRange:
    found = ObservedRange()
    found.see(sample)
    return found


def normal(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def test_entropy_keeps_all_of_values_that_are_spread_evenly() -> None:
    sample = torch.linspace(-1, 1, 20000)
    low, high = entropy_range(sample.numpy(), -1.0, 1.0, 256)
    assert -1.0 <= low <= -0.95
    assert 0.95 <= high <= 1.0


@pytest.mark.parametrize(("bits", "share"), [(4, 0.6), (6, 0.7), (8, 0.8)])
def test_entropy_lets_few_far_values_saturate(bits: int, share: float) -> None:
    sample = torch.cat([normal(30000), torch.full((3,), 60.0)])
    form = entropy(seen(sample), bits)
    widest = METHODS["minmax"](seen(sample), bits)
    assert form.scale < share * widest.scale
    bulk = sample[:-3]
    errors = [(fake_quantize_activation(bulk, each) - bulk).square().mean() for each in (form, widest)]
    assert errors[0] < share * errors[1]


def test_entropy_of_a_value_that_never_changes_is_its_range() -> None:
    assert entropy(seen(torch.zeros(100)), 8) == affine_format(0.0, 0.0)


@given(low=FINITE, high=FINITE, bits=st.integers(2, 8))
def test_a_symmetric_format_has_its_zero_in_the_middle_and_covers_the_range(low: float, high: float, bits: int) -> None:
    low, high = min(low, high, 0.0), max(low, high, 0.0)
    form = affine_format(low, high, bits, symmetric=True)
    assert form.zero_point in (0, 1 << (bits - 1))
    ends = torch.tensor([low, high])
    assert torch.all((fake_quantize_activation(ends, form) - ends).abs() <= form.scale * 0.501)


def test_symmetric_activations_have_zero_points_in_the_middle_or_at_the_end() -> None:
    quantized = quantize(settled(), noise(8), settings=QuantizeSettings(symmetric_activations=True))
    points = {form.zero_point for form in quantized.numerics.activations.values()}
    assert points == {0, 128}


def test_one_scale_for_a_whole_tensor_is_coarser_than_one_a_channel() -> None:
    errors = []
    for per_channel in (False, True):
        graph = quantize(settled(), noise(4), settings=QuantizeSettings(per_channel=per_channel)).graph
        scales = {name: graph.tensors[form.scale] for name, form in graph.numerics.weights.items()}
        if not per_channel:
            assert all(bool((scale == scale[0]).all()) for scale in scales.values())
        errors.append(
            sum(
                (fake_quantize_weight(graph.tensors[name], scales[name], form) - graph.tensors[name]).square().sum()
                for name, form in graph.numerics.weights.items()
            )
        )
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("per_channel", [True, False])
def test_the_scale_of_least_error_has_less_error(per_channel: bool) -> None:
    conv = nn.Conv2d(3, 8, 3)
    with torch.no_grad():
        conv.weight.copy_(normal(conv.weight.numel()).reshape(conv.weight.shape))
    network = GraphNetwork(capture(nn.Sequential(conv, nn.ReLU(), nn.Flatten()), (1, 3, 8, 8)))
    errors = []
    for way in ("max", "mse"):
        settings = QuantizeSettings(weight_bits=4, weight_range=way, per_channel=per_channel)
        graph = quantize(network, noise(4, 8), settings=settings).graph
        form = graph.numerics.weights["0.weight"]
        weight = graph.tensors["0.weight"]
        errors.append(float((fake_quantize_weight(weight, graph.tensors[form.scale], form) - weight).square().mean()))
    assert errors[1] < 0.95 * errors[0]


def test_pixels_are_stored_as_they_are() -> None:
    contract = InputContract(height=8, width=8, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    pixels = (torch.arange(256) - 127.0) / 128
    form = input_format(contract, seen(pixels[20:230]), 8)
    assert torch.allclose(fake_quantize_activation(pixels, form), pixels, atol=1e-6)
    narrow = METHODS["mse"](seen(pixels[20:230]), 8)
    assert not torch.allclose(fake_quantize_activation(pixels, narrow), pixels, atol=1e-3)


def test_what_is_no_image_or_has_no_contract_has_the_range_that_was_seen() -> None:
    contract = InputContract(height=8, width=8, mean=(0.5,) * 3, std=(0.25,) * 3)
    wild = seen(10 * normal(1000))
    for given_contract in (None, contract):
        assert input_format(given_contract, wild, 8) == METHODS["minmax"](wild, 8)


def test_arguments_stand_in_for_settings() -> None:
    settings = QuantizeSettings(method="minmax", weight_bits=5)
    quantized = quantize(settled(), noise(4), settings=settings, bits=6)
    assert {form.bits for form in quantized.numerics.activations.values()} == {6}
    assert {form.bits for form in quantized.numerics.weights.values()} == {6}
    wanted = quantize(settled(), noise(4), method="minmax", bits=6)
    assert quantized.numerics.activations == wanted.numerics.activations


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (QuantizeSettings(skip=frozenset({"nowhere"})), "no operation 'nowhere'"),
        (QuantizeSettings(layer_bits={"nowhere": 4}), "no operation 'nowhere'"),
    ],
)
def test_names_of_operations_that_there_are_not_are_refused(settings: QuantizeSettings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        quantize(settled(), noise(4), settings=settings)


def test_a_change_of_the_settings_is_checked() -> None:
    with pytest.raises(UsageError, match="weight_bits"):
        QuantizeSettings().with_(weight_bits=9)
    with pytest.raises(UsageError, match="activation_bits"):
        quantize(settled(), noise(4), bits=1)
