"""Local response normalization: one operation of the IR out of the ten that torch exports."""

import pytest
import torch
from torch import nn

from pocketcnn.compression.coupling import couple
from pocketcnn.compression.quantization import quantize
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.graph.capture.exporting import CaptureError
from pocketcnn.graph.ops import GraphError
from tests.support.onnx_support import run

IMAGES = 3 * torch.randn(4, 3, 7, 9, generator=torch.Generator().manual_seed(0))


def network(norm: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), norm, nn.MaxPool2d(2), nn.Conv2d(12, 5, 1), norm, nn.Flatten())


@pytest.mark.parametrize(("size", "alpha", "beta", "k"), [(5, 5e-4, 0.75, 2.0), (3, 0.4, 1.5, 1.0), (1, 0.2, 0.5, 0.3)])
@torch.no_grad()
def test_it_is_captured_and_written_as_one_operation(size: int, alpha: float, beta: float, k: float) -> None:
    module = network(nn.LocalResponseNorm(size, alpha, beta, k))
    graph = capture(module, IMAGES)
    assert [node.op for node in graph.nodes].count("local_response_norm") == 2
    assert len(graph.nodes) == 8
    expected = module(IMAGES)
    torch.testing.assert_close(GraphNetwork(graph)(IMAGES), expected)
    model = to_onnx(graph, names="full")
    assert [node.op_type for node in model.graph.node].count("LRN") == 2
    torch.testing.assert_close(run(model, IMAGES)[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_integers_around_it_are_the_simulator_s_in_onnx_runtime() -> None:
    module = nn.Sequential(*network(nn.LocalResponseNorm(5, 0.1)), nn.Linear(30, 4)).eval()
    simulator = quantize(GraphNetwork(capture(module, IMAGES)), IMAGES).eval()
    (stored,) = run(to_onnx(simulator.graph), IMAGES)
    torch.testing.assert_close(stored, simulator(IMAGES), rtol=0, atol=0.02)
    assert (stored - module(IMAGES)).square().mean() < 1e-3 * module(IMAGES).var()


def test_channels_that_normalize_each_other_are_not_pruned() -> None:
    coupling = couple(capture(network(nn.LocalResponseNorm(5)), IMAGES))
    assert not len(coupling.removable())


def test_an_even_window_is_refused() -> None:
    with pytest.raises(GraphError, match="4 channels; it must be odd"):
        capture(network(nn.LocalResponseNorm(4)), IMAGES)


def test_what_only_looks_like_it_is_not_taken_for_it() -> None:
    class Other(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            window = nn.functional.pad((x * x)[:, None], (0, 0, 0, 0, 2, 2))
            energy = nn.functional.avg_pool3d(window, (5, 1, 1), 1).squeeze(1)
            return energy + x / (energy * 0.1 + 1).pow(0.75)

    with pytest.raises(CaptureError, match=r"aten\.pad"):
        capture(Other(), IMAGES)
