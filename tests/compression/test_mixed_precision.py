"""Bits for each layer: the least logit_error that saves enough, against all choices; in the network and in its file."""

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pocketcnn as pc
from pocketcnn.compression.quantization import QuantizeSettings, quantize
from pocketcnn.compression.quantization.mixed_precision import Sensitivity, choose_layers, sensitivities, weight_bytes
from pocketcnn.errors import UsageError
from tests.support.quantized import answers, decibels, noise, settled

SOME = st.lists(st.tuples(st.floats(0, 10), st.integers(1, 300)), min_size=1, max_size=8)


def best_of_all(found: list[Sensitivity], saving: int) -> float:
    """The least sum of logit_error over all sets of layers that save enough."""
    sets = (chosen for size in range(len(found) + 1) for chosen in combinations(found, size))
    return min(
        sum(each.logit_error for each in chosen) for chosen in sets if sum(each.saved for each in chosen) >= saving
    )


@given(layers=SOME, share=st.floats(0, 1))
def test_no_other_layers_save_enough_with_less_harm(layers: list[tuple[float, int]], share: float) -> None:
    found = [Sensitivity(f"layer {place}", logit_error, saved) for place, (logit_error, saved) in enumerate(layers)]
    saving = int(share * sum(each.saved for each in found))
    chosen = choose_layers(found, saving)
    taken = [each for each in found if each.layer in chosen]
    assert sum(each.saved for each in taken) >= saving
    assert sum(each.logit_error for each in taken) <= best_of_all(found, saving) + 1e-9


def test_large_savings_are_counted_in_units_and_still_kept() -> None:
    found = [Sensitivity(str(place), 1.0 / (place + 1), 1_000_003 * (place + 1)) for place in range(30)]
    saving = sum(each.saved for each in found) // 2
    chosen = choose_layers(found, saving)
    assert sum(each.saved for each in found if each.layer in chosen) >= saving


def test_what_cannot_be_saved_is_said() -> None:
    with pytest.raises(UsageError, match=r"saves 100 bytes of weights, but 101 bytes are required"):
        choose_layers([Sensitivity("a", 0.1, 100)], 101)


def test_a_bound_on_the_bytes_is_kept_and_costs_less_than_few_bits_everywhere(tmp_path: Path) -> None:
    network, images = settled("mobilenet_v1"), noise(16)
    whole = weight_bytes(quantize(network, images).graph)
    plan = QuantizeSettings(weight_bytes=whole * 7 // 10, weight_range="mse", bias_correction=False)
    mixed = quantize(network, images, settings=plan)
    bits = [form.bits for form in mixed.numerics.weights.values()]
    assert set(bits) == {4, 8}
    assert weight_bytes(mixed.graph) <= whole * 7 // 10
    exact = answers(network, images)
    fewer = QuantizeSettings(weight_bits=4, weight_range="mse", bias_correction=False)
    everywhere = quantize(network, images, settings=fewer)
    assert decibels(exact, answers(mixed, images)) > decibels(exact, answers(everywhere, images)) + 3
    loaded = pc.load(pc.save(tmp_path / "mixed.safetensors", mixed))
    assert [form.bits for form in loaded.numerics.weights.values()] == bits


def test_chosen_layers_do_less_harm_than_the_others_of_the_same_size() -> None:
    network, images = settled("mobilenet_v1"), noise(16)
    quantized = quantize(network, images).graph
    found = sensitivities(quantized, images, QuantizeSettings())
    assert len(found) == len(quantized.numerics.weights)
    assert all(each.logit_error > 0 and each.saved > 0 for each in found)
    fixed = QuantizeSettings(layer_bits={found[0].layer: 8})
    assert found[0].layer not in {each.layer for each in sensitivities(quantized, images, fixed)}


def test_a_bound_that_is_kept_anyway_changes_nothing() -> None:
    network, images = settled("mobilenet_v1"), noise(8)
    roomy = quantize(network, images, settings=QuantizeSettings(weight_bytes=10**9))
    assert roomy.numerics == quantize(network, images).numerics
