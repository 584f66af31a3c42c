"""Whole networks: ncnn computes what PyTorch does, within 1e-4 of the range of the logits; int8 beside the simulation."""

from statistics import mean

import pytest

from pocketcnn.compression.quantization import quantize
from tests.support.format_networks import NAMES, images, network
from tests.support.ncnn_support import run, simulated
from tests.support.trained_digits import SEEDS, digits, float_digits, int8_digits

QUICK = frozenset({"mobilenet_v3_small", "shufflenet_v1", "shufflenet_v2", "squeezenet1_1", "condensenet_74"})
"""Those that between them use nearly every operation; the rest is slow."""

CASES = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES]
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@quiet
@pytest.mark.parametrize("name", CASES)
def test_float(name: str) -> None:
    graph, x = network(name).graph, images(name, 4)
    expected = simulated(graph, x)
    assert (run(graph, x) - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())


@quiet
@pytest.mark.parametrize("name", CASES)
def test_int8_is_as_near_to_float_as_the_simulation(name: str) -> None:
    """ncnn's activations have half the steps where they are not negative, and more are left in float."""
    own, x = network(name), images(name, 32)  # of 8, the mean error differs by half from draw to draw
    graph = quantize(own, x, method="minmax").graph
    answers, expected, exact = run(graph, x), simulated(graph, x), simulated(own.graph, x)
    room = exact.max() - exact.min()
    assert (answers - exact).abs().mean() <= 2 * (expected - exact).abs().mean() + 0.005 * room


def test_trained_networks_give_the_same_answers_in_int8() -> None:
    x, labels = digits(training=False)
    same = []
    for seed in SEEDS:
        graph = int8_digits(seed).graph
        expected, answers = simulated(graph, x).argmax(1), run(graph, x).argmax(1)
        assert float((expected == labels).float().mean()) > 0.85, "the network has learned something"
        same.append(float((answers == expected).float().mean()))
    assert mean(same) >= 0.98


def test_a_trained_network_gives_the_same_answers_in_float() -> None:
    x, _ = digits(training=False)
    expected = simulated(float_digits().graph, x)
    assert (run(float_digits().graph, x) - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())
