"""Every operation of the table, written to ncnn with random attributes, computes the same there."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.ncnn import to_layers
from pocketcnn.formats.ncnn.writer import EMITTERS
from pocketcnn.graph import Graph, Node, capture
from pocketcnn.graph.ops import OPS
from tests.support.ncnn_support import run, simulated, with_symmetric_formats
from tests.support.onnx_support import one_operation
from tests.support.op_cases import CASES, BenchmarkCase

NAMES = sorted(set(OPS) - {"input"})
"""From the table itself: an operation without a form fails here."""


def images(shape: tuple[int, ...], count: int = 2) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


def test_every_operation_has_a_form() -> None:
    assert set(EMITTERS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_float(name: str, data: st.DataObject) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())
    assume(case.attrs.get("dilation", (1, 1)) == (1, 1) or name != "max_pool")
    graph = one_operation(case)
    x = images(graph.input_shape)
    expected = simulated(graph, x)
    assume(bool(expected.isfinite().all()))
    answers = run(graph, x)
    torch.testing.assert_close(answers, expected[: len(answers)].expand_as(answers), atol=1e-4, rtol=1e-4)


def test_what_ncnn_lacks_is_named() -> None:
    attrs = {"kernel": (2, 2), "stride": (1, 1), "padding": (0, 0), "dilation": (2, 2), "ceil": False}
    nodes = (Node("input", "input", (), (3, 8, 8)), Node("features.pool", "max_pool", ("input",), (), attrs))
    with pytest.raises(PocketcnnError, match=r"layer 'features\.pool' \(max_pool\): .*dilation"):
        to_layers(Graph(nodes, "features.pool", {}).rebuilt())


def test_values_of_too_many_axes_are_named() -> None:
    nodes = (
        Node("input", "input", (), (4, 8, 8)),
        Node("split", "reshape", ("input",), (), {"shape": (2, 2, 8, 2, 4)}),
    )
    with pytest.raises(PocketcnnError, match=r"layer 'split' \(reshape\): .*5 axes"):
        to_layers(Graph(nodes, "split", {}).rebuilt())


def depthwise(channels: int, kernel: int = 3, **options: int) -> nn.Module:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, **options)


INT8 = {
    "convolution": (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2)),
    "Winograd's algorithm": (nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Conv2d(64, 16, 3)),
    "odd numbers of channels": (nn.Conv2d(3, 7, 3), nn.ReLU6(), nn.Conv2d(7, 5, 1), nn.Hardswish(), nn.Conv2d(5, 3, 3)),
    "rectangles": (nn.Conv2d(3, 8, (1, 7), padding=(0, 3)), nn.ReLU(), nn.Conv2d(8, 8, (5, 1), (2, 1), (1, 0))),
    "dilation": (nn.Conv2d(3, 8, 3, dilation=2), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 3, padding=2, dilation=2)),
    "depthwise": (nn.Conv2d(3, 16, 1), nn.ReLU6(), depthwise(16), nn.ReLU6(), nn.Conv2d(16, 4, 1)),
    "depthwise, 5x5": (nn.Conv2d(3, 12, 1), nn.ReLU(), depthwise(12, 5, stride=2), nn.Sigmoid(), nn.Conv2d(12, 4, 1)),
    "no bias": (nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), depthwise(8, bias=False), nn.Conv2d(8, 8, 1, bias=False)),
    "groups": (nn.Conv2d(3, 32, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, groups=4), nn.ReLU(), nn.Conv2d(64, 4, 1)),
    "two kernels a channel": (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, groups=8), nn.ReLU()),
    "linear": (nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(128, 16), nn.ReLU(), nn.Linear(16, 5)),
    "a gate's convolutions": (
        nn.Conv2d(3, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(8, 16, 1),
        nn.ReLU(),
        nn.Conv2d(16, 4, 1),
    ),
}


@pytest.mark.parametrize("layers", INT8.values(), ids=INT8)
def test_int8_layers_compute_with_the_graphs_integers(layers: tuple[nn.Module, ...]) -> None:
    """Within 1 %, but for a value that lies halfway and is rounded the other way (ncnn rounds away from zero).

    How often depends on the CPU, whose sums differ in the last bit. Where a gate has only a few values, one step of one of them
    moves the answer to its image by some percent.
    """
    torch.manual_seed(0)
    x = images((3, 20, 20), 8)
    graph = capture(nn.Sequential(*layers).eval(), (1, 3, 20, 20))
    for name, tensor in graph.tensors.items():
        if name.endswith("weight"):  # channels of different scales
            tensor.mul_(torch.exp(torch.randn(len(tensor))).reshape(-1, *(1,) * (tensor.ndim - 1)))
    quantized = with_symmetric_formats(graph, x)
    expected = simulated(quantized, x)
    errors = (run(quantized, x) - expected).abs().flatten(1).amax(1) / (expected.max() - expected.min())
    assert errors.median() <= 0.01
    assert errors.max() <= 0.06


@pytest.mark.parametrize(("channels", "exact_by_itself"), [(16, True), (64, False)])
def test_int8_sums_that_winograds_algorithm_would_overflow_are_exact(channels: int, exact_by_itself: bool) -> None:
    """All weights and inputs at their largest: the sum is larger than 2^31 / 24^2 or not."""
    layer = nn.Conv2d(channels, 32, 3, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    x = torch.ones(1, channels, 12, 12)
    graph = with_symmetric_formats(capture(nn.Sequential(layer).eval(), x), x)
    assert (31 not in to_layers(graph)[-1].params) is exact_by_itself
    torch.testing.assert_close(run(graph, x), simulated(graph, x))


def test_an_int8_gather_runs_between_int8_convolutions() -> None:
    order = torch.tensor([5, 1, 2, 3, 0, 0, 7])
    torch.manual_seed(0)
    tensors = {"order": order, "first.weight": torch.randn(8, 3, 3, 3), "last.weight": torch.randn(4, 7, 1, 1)}
    attrs = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    nodes = (
        Node("input", "input", (), (3, 10, 10)),
        Node("first", "conv2d", ("input",), (), attrs, {"weight": "first.weight"}),
        Node("select", "gather", ("first",), (), {}, {"index": "order"}),
        Node("last", "conv2d", ("select",), (), attrs, {"weight": "last.weight"}),
    )
    x = images((3, 10, 10), 4)
    graph = with_symmetric_formats(Graph(nodes, "last", tensors).rebuilt(), x)
    torch.testing.assert_close(run(graph, x), simulated(graph, x), atol=0.02, rtol=0)
