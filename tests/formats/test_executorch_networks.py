"""Whole networks in ExecuTorch: all layers on XNNPACK, float within 1e-4 of PyTorch, int8 with the graph's integers."""

import pytest

from pocketcnn.compression.quantization import quantize
from tests.support.executorch_support import run
from tests.support.format_networks import NAMES, images, network
from tests.support.ncnn_support import simulated
from tests.support.trained_digits import digits, float_digits, int8_digits

PORTABLE = frozenset({"aten::index_select", "aten::upsample_nearest2d.vec", "aten::_adaptive_avg_pool2d"})
"""What XNNPACK lacks: picking channels by a list (CondenseNet), nearest resampling, and average pooling to a size that does
not divide the map's (AlexNet and VGG on images of another size than theirs)."""

MORE = {"timm resnest14d": frozenset({"aten::_softmax", "aten::sum.dim_IntList", "aten::avg_pool2d"})}
"""What it does not take of single networks: ResNeSt's attention over splits, and its padded average pools."""

quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def test_a_trained_network_gives_the_same_answers_in_float() -> None:
    x, _ = digits(training=False)
    answers, left = run(float_digits().graph, x)
    expected = simulated(float_digits().graph, x)
    assert (answers - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())
    assert not left


def test_a_trained_network_gives_the_same_answers_in_int8() -> None:
    x, labels = digits(training=False)
    expected = simulated(int8_digits().graph, x)
    answers, left = run(int8_digits().graph, x)
    assert float((expected.argmax(1) == labels).float().mean()) > 0.85, "the network has learned something"
    assert float((answers.argmax(1) == expected.argmax(1)).float().mean()) >= 0.98
    assert (answers - expected).abs().mean() <= 0.01 * (expected.max() - expected.min())
    assert not left


@quiet
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_float(name: str) -> None:
    graph, x = network(name).graph, images(name, 4)
    expected = simulated(graph, x)
    answers, left = run(graph, x)
    assert (answers - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())
    assert set(left) <= PORTABLE | MORE.get(name, frozenset())


@quiet
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_int8_computes_with_the_graphs_integers(name: str) -> None:
    own, x = network(name), images(name, 8)
    graph = quantize(own, x, method="minmax").graph
    expected, exact = simulated(graph, x), simulated(own.graph, x)
    answers, left = run(graph, x)
    assert (answers - expected).abs().mean() <= (expected - exact).abs().mean() + 0.002 * (exact.max() - exact.min())
    assert set(left) <= PORTABLE | MORE.get(name, frozenset())
