"""Passes over graphs: the same function, written in fewer or better known operations."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.passes.fold import drop_dropout, fold_batch_norm, for_inference
from tests.support.small_networks import float_network, images, randomised

SHAPE = (6, 5, 5)


class Function(nn.Module):
    """A module that computes a function of the images."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def captured(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> tuple[Graph, float]:
    """The graph, and how far its answers are from the module's."""
    graph = capture(module.eval(), (1, *shape))
    x = 3 * images(4, shape)
    with torch.no_grad():
        return graph, float((GraphNetwork(graph).eval()(x) - module(x)).abs().max())


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes[1:]]


# Recognition --------------------------------------------------------------------------------------------------

HARDSIGMOID: list[Callable[[Tensor], Tensor]] = [
    F.hardsigmoid,
    lambda x: F.relu6(x + 3) / 6,
    lambda x: F.relu6(3 + x) * (1 / 6),
    lambda x: F.relu6(x + 3.0, inplace=True) * 0.1666667,
    lambda x: F.hardtanh(x + 3, 0, 6) / 6,
    lambda x: (x + 3).clamp(0, 6) / 6,
    lambda x: (x + 3).clip(0, 6).div(6),
    lambda x: (1 / 6) * F.relu6(x - (-3)),
]
HARDSWISH: list[Callable[[Tensor], Tensor]] = [
    F.hardswish,
    lambda x: x * F.hardsigmoid(x),
    lambda x: F.hardsigmoid(x) * x,
    lambda x: x * (F.relu6(x + 3) / 6),
    lambda x: x * F.relu6(x + 3) / 6,
    lambda x: F.relu6(x + 3) * x * (1 / 6),
    lambda x: x.clone().mul_(F.relu6(x + 3.0).div_(6.0)),
    lambda x: x * (x + 3).clamp(0, 6) / 6,
]
SILU: list[Callable[[Tensor], Tensor]] = [F.silu, lambda x: x * torch.sigmoid(x), lambda x: x.sigmoid() * x]
SHUFFLE: list[Callable[[Tensor], Tensor]] = [
    lambda x: F.channel_shuffle(x, 3),
    lambda x: x.view(-1, 3, 2, 5, 5).transpose(1, 2).contiguous().view(-1, 6, 5, 5),
    lambda x: x.reshape(x.shape[0], 3, 2, 5, 5).transpose(2, 1).flatten(1, 2),
    lambda x: x.view(x.shape[0], 3, 2, 25).permute(0, 2, 1, 3).reshape(x.shape),
    lambda x: x.unflatten(1, (3, 2)).swapaxes(1, 2).reshape(x.shape),
]
SPELLINGS = [
    *(("hardsigmoid", function) for function in HARDSIGMOID),
    *(("hardswish", function) for function in HARDSWISH),
    *(("silu", function) for function in SILU),
    *(("channel_shuffle", function) for function in SHUFFLE),
]


@pytest.mark.parametrize(("op", "function"), SPELLINGS, ids=[f"{op}-{i}" for i, (op, _) in enumerate(SPELLINGS)])
def test_compositions_are_recognised_in_all_their_spellings(op: str, function: Callable[[Tensor], Tensor]) -> None:
    graph, error = captured(Function(function))
    assert ops(graph) == [op]
    assert error < 1e-5


NOT_QUITE: list[Callable[[Tensor], Tensor]] = [
    lambda x: F.relu6(x + 2.5) / 6,
    lambda x: F.relu6(x + 3) / 5,
    lambda x: x * F.hardsigmoid(x + 1),
    lambda x: x * torch.sigmoid(1.702 * x),
    lambda x: x.view(-1, 3, 2, 5, 5).permute(0, 1, 2, 4, 3).reshape(-1, 6, 5, 5),
    lambda x: x.view(-1, 3, 10, 5).transpose(1, 2).reshape(-1, 6, 5, 5),
    lambda x: x.view(-1, 3, 2, 5, 5).transpose(1, 2).reshape(-1, 3, 10, 5),
]


@pytest.mark.parametrize("function", NOT_QUITE)
def test_what_only_resembles_them_stays_what_it_is(function: Callable[[Tensor], Tensor]) -> None:
    graph, error = captured(Function(function))
    assert set(ops(graph)) & {"hardswish", "silu", "channel_shuffle"} == set()
    assert error < 1e-6


def test_a_part_that_is_used_elsewhere_stays() -> None:
    def function(x: Tensor) -> Tensor:
        clipped = F.relu6(x + 3)
        return x * (clipped / 6) + clipped

    graph, error = captured(Function(function))
    assert {"relu6", "add"} <= set(ops(graph))
    assert error < 1e-5


# Folding ------------------------------------------------------------------------------------------------------


class Chain(nn.Module):
    """Layers that run one after the other, then the mean over the pixels."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


def assert_folds(module: nn.Module, expected: dict[str, int], shape: tuple[int, ...] = SHAPE) -> Graph:
    """Folding leaves the operations `expected` and the answers."""
    torch.manual_seed(0)
    module = randomised(module).double().eval()
    graph = capture(module, (1, *shape))
    folded = for_inference(graph)
    x = images(4, shape).double()
    with torch.no_grad():
        torch.testing.assert_close(GraphNetwork(folded).eval()(x), module(x), rtol=1e-9, atol=1e-9)
    assert Counter(ops(folded)) == expected
    torch.testing.assert_close(
        dict(capture(module, (1, *shape)).tensors), dict(graph.tensors)
    )  # the graph is as it was
    return folded


def test_convolutions_absorb_batch_norm() -> None:
    layers = [
        nn.Conv2d(6, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1, groups=4),
        nn.BatchNorm2d(8),
    ]
    folded = assert_folds(Chain(*layers, nn.Dropout2d(0.5)), {"conv2d": 2, "relu": 1})
    assert folded.tensors.keys() == {f"layers.{i}.{role}" for i in (0, 3) for role in ("weight", "bias")}


def test_linear_layers_absorb_batch_norm() -> None:
    layers = [nn.Flatten(), nn.Linear(150, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)]
    assert_folds(Chain(*layers), {"reshape": 1, "linear": 2})


def test_batch_norm_without_scale_and_offset() -> None:
    assert_folds(Chain(nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4, affine=False)), {"conv2d": 1})


def test_a_lone_batch_norm_becomes_a_depthwise_convolution() -> None:
    folded = assert_folds(Chain(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1)), {"conv2d": 2, "relu": 1})
    assert folded["layers.0"].integer("groups") == 6


class Shared(nn.Module):
    """A convolution, a batch norm, or both, used twice."""

    def __init__(self, conv: bool, norm: bool, between: bool = False) -> None:
        super().__init__()
        first, second = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.convs = nn.ModuleList([first, first if conv else second])
        a, b = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.norms = nn.ModuleList([a, a if norm else b])
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv(x)
            x = norm(x.relu() if self.between else x)
        return x


@pytest.mark.parametrize(("conv", "norm"), [(True, False), (True, True)])
def test_a_convolution_that_is_used_twice_absorbs_nothing(conv: bool, norm: bool) -> None:
    assert_folds(Shared(conv, norm), {"conv2d": 4})


def test_a_batch_norm_that_is_used_twice_is_folded_twice() -> None:
    assert_folds(Shared(conv=False, norm=True), {"conv2d": 2})
    assert_folds(Shared(conv=False, norm=True, between=True), {"conv2d": 4, "relu": 2})


def test_a_convolution_whose_result_is_used_elsewhere_absorbs_nothing() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x.relu() + self.norm(x)

    assert_folds(Branch(), {"conv2d": 2, "relu": 1, "add": 1})


def test_a_bias_that_two_convolutions_share_stays_as_it_is() -> None:
    class SharedBias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.norm = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)
            self.second.bias = self.first.bias

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.second(self.norm(self.first(x)))
            return result

    assert_folds(SharedBias(), {"conv2d": 3})


def test_weights_of_any_name() -> None:
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.kernel = nn.Parameter(torch.randn(6, 6, 1, 1)), nn.Parameter(torch.randn(6, 6, 1, 1))
            self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(6)])

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.norms[1](F.conv2d(self.norms[0](F.conv2d(x, self.weight)), self.kernel))
            return result

    folded = assert_folds(Loose(), {"conv2d": 2})
    assert folded.tensors.keys() == {"weight", "bias", "kernel", "kernel_bias"}


def test_dropout_is_dropped_alone_and_at_the_end() -> None:
    graph = capture(Chain(nn.Dropout(0.1), nn.Conv2d(6, 4, 1), nn.Dropout2d(0.2), nn.Dropout(0.3)), (1, *SHAPE))
    without = drop_dropout(graph)
    assert ops(without) == ["conv2d"]
    assert without.output == "layers.1"


def test_folding_a_whole_network_twice_is_folding_it_once() -> None:
    network = float_network()
    folded = for_inference(network.graph)
    assert not {"batch_norm", "dropout"} & set(ops(folded))
    torch.testing.assert_close(GraphNetwork(folded).eval()(images()), network(images()), rtol=1e-5, atol=1e-5)
    again = fold_batch_norm(folded)
    assert again.nodes == folded.nodes
