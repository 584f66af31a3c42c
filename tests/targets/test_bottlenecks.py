"""What keeps a layer from its bound is told from what the runtime ran for it."""

import re

import pytest
import torch
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, capture
from pocketcnn.runtimes.layer_times import LayerTime
from pocketcnn.runtimes.operator_times import OperatorTime
from pocketcnn.targets import load_target
from pocketcnn.targets.bottlenecks import SLOW_RATIO, bottlenecks, explanation


class Shuffled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.odd = nn.Conv2d(16, 58, 1)
        self.head = nn.Linear(58, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.channel_shuffle(self.depthwise(self.stem(x)), 2)
        result: Tensor = self.head(self.odd(x).mean((2, 3)))
        return result


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(0)
    return capture(Shuffled().eval(), (1, 3, 32, 32))


def layer(graph: Graph, name: str, **kinds: float) -> LayerTime:
    """A layer whose operators took these microseconds."""
    operators = (
        OperatorTime.from_samples(kind, kind.replace("__", " "), [micro * 1e-6]) for kind, micro in kinds.items()
    )
    return LayerTime(name, graph[name].op, (), tuple(operators))


@pytest.mark.parametrize(
    ("name", "kinds", "bound_by", "reason"),
    [
        ("stem", {"Conv": 50.0, "ReorderOutput": 50.0}, "compute", r"50% of the time changes the memory layout .ReorderOutput."),
        ("stem", {"QLinearConv": 40.0, "DequantizeLinear": 60.0}, "compute", "60% of the time converts between integers"),
        ("stem", {"Convolution__ref_any_f32": 100.0}, "compute", "no vectorised kernel"),
        ("odd", {"FusedConv": 100.0}, "compute", "58 channels are not a multiple of 8"),
        ("stem", {"Conv": 5.0}, "compute", "so small that call overhead dominates"),
        ("depthwise", {"Conv": 100.0}, "memory", "depthwise"),
        ("stem", {"Conv": 100.0}, "memory", "limited by memory bandwidth"),
        ("stem", {"Conv": 100.0}, "compute", "below the peak rate"),
        ("channel_shuffle", {"Transpose": 100.0}, "memory", "a channel shuffle copies all values"),
    ],
)  # fmt: skip
def test_reasons(graph: Graph, name: str, kinds: dict[str, float], bound_by: str, reason: str) -> None:
    found = explanation(layer(graph, name, **kinds), graph, 1e-6, bound_by, 8)
    assert re.search(reason, found)


def test_a_layer_near_its_bound_needs_no_reason(graph: Graph) -> None:
    assert explanation(layer(graph, "stem", Conv=10.0), graph, 10e-6 / SLOW_RATIO * 1.01, "compute", 8) == ""


def test_measured_layers_stand_beside_their_bounds(graph: Graph) -> None:
    rates = {"peak_madds": {"float32": 1e10}, "bandwidth": 1e10}
    found = bottlenecks(graph, load_target("onnxruntime-cpu").model_copy(update=rates), runs=3)
    stem = next(layer for layer in found.layers if layer.name == "stem")
    assert stem.bound == pytest.approx(max(32 * 32 * 16 * 27 / 1e10, 4 * (32 * 32 * (3 + 16) + 16 * 27 + 16) / 1e10))
    assert stem.times_bound == pytest.approx(stem.seconds / stem.bound)
    assert sum(layer.share for layer in found.layers) == pytest.approx(1)


def test_what_cannot_be_compared_is_said(graph: Graph) -> None:
    with pytest.raises(UsageError, match=r"no peak rates for float32.* pocketcnn target calibrate onnxruntime-cpu"):
        bottlenecks(graph, load_target("onnxruntime-cpu"))
    with pytest.raises(UsageError, match="is not on this machine"):
        bottlenecks(graph, load_target("cortex-m7"))
