"""Parallel linear branches become one convolution at inference, whoever wrote the network; in training they stay."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.compression.deployed import Deployed
from pocketcnn.compression.pruning.meta_graph import MetaGraph
from pocketcnn.cost import count
from pocketcnn.formats.onnx.reader import graph_of
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import Graph, GraphNetwork, capture, for_inference
from tests.support.small_networks import images, randomised

WIDTH = 8
SHAPE = (WIDTH, 9, 9)


class Sum(nn.Module):
    """The sum of some branches of one value."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            result = result + branch(x)
        return result


class Function(nn.Module):
    """Two convolutions and what a function makes of their answers and of the images."""

    def __init__(self, function: Callable[[Tensor, nn.Module, nn.Module], Tensor]) -> None:
        super().__init__()
        self.first, self.second = conv(3), conv(1)
        self.scale = nn.Parameter(torch.linspace(-1, 2, WIDTH).reshape(WIDTH, 1, 1))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.first, self.second)


def conv(kernel: int, *, groups: int = 1, stride: int = 1, dilation: int = 1, norm: bool = True) -> nn.Module:
    padding = dilation * (kernel - 1) // 2
    layer = nn.Conv2d(WIDTH, WIDTH, kernel, stride, padding, groups=groups, dilation=dilation, bias=not norm)
    return nn.Sequential(layer, nn.BatchNorm2d(WIDTH)) if norm else layer


def deployed(module: nn.Module) -> Graph:
    """The graph at inference, which answers as the module does."""
    module = randomised(module).double().eval()
    graph = for_inference(capture(module, (1, *SHAPE)))
    x = images(3, SHAPE).double()
    with torch.no_grad():
        torch.testing.assert_close(GraphNetwork(graph).eval()(x), module(x), rtol=1e-9, atol=1e-9)
    return graph


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes[1:]]


def repvgg(width: int = WIDTH) -> Sum:
    return Sum(conv(3), conv(1), nn.BatchNorm2d(width))


ONE_CONVOLUTION: dict[str, Callable[[], nn.Module]] = {
    "RepVGG": repvgg,
    "RepVGG with stride": lambda: Sum(conv(3, stride=2), conv(1, stride=2)),
    "MobileOne, depthwise": lambda: Sum(conv(1, groups=WIDTH), nn.BatchNorm2d(WIDTH), *(conv(3, groups=WIDTH) for _ in range(3))),
    "ACNet": lambda: Sum(
        conv(3, norm=False),
        nn.Conv2d(WIDTH, WIDTH, (3, 1), padding=(1, 0)),
        nn.Conv2d(WIDTH, WIDTH, (1, 3), padding=(0, 1)),
    ),
    "large and small kernel": lambda: Sum(conv(7, groups=WIDTH), conv(3, groups=WIDTH)),
    "dilated branches": lambda: Sum(conv(5, groups=WIDTH), conv(3, groups=WIDTH, dilation=2), conv(3, groups=WIDTH)),
    "one dilation": lambda: Sum(conv(3, dilation=2), conv(1), nn.Identity()),
    "groups": lambda: Sum(conv(3, groups=2), conv(1, groups=4), nn.Identity()),
    "residual": lambda: Sum(nn.Identity(), conv(3, norm=False)),
    "batch norm after the sum": lambda: nn.Sequential(
        Sum(conv(3, groups=WIDTH), conv(1, groups=WIDTH), nn.Identity()), nn.BatchNorm2d(WIDTH)
    ),
    "difference": lambda: Function(lambda x, first, second: first(x) - second(x)),
    "number": lambda: Function(lambda x, first, second: 0.5 * first(x) + 2 * x),
    "two blocks, one inside the other": lambda: Sum(nn.Sequential(repvgg(), nn.ReLU(), repvgg())),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_CONVOLUTION)
def test_branches_become_one_convolution(name: str) -> None:
    found = ops(deployed(ONE_CONVOLUTION[name]()))
    assert found == (["conv2d", "relu", "conv2d"] if "two blocks" in name else ["conv2d"])


def test_a_scale_per_channel_is_folded_into_its_branch() -> None:
    class Scaled(Function):
        def forward(self, x: Tensor) -> Tensor:
            mixed: Tensor = x + self.scale * (self.first(x) - self.second(x))
            return mixed

    assert ops(deployed(Scaled(lambda x, first, second: x)))[-1] == "conv2d"
    assert "add" not in ops(deployed(Scaled(lambda x, first, second: x)))


STAYS: dict[str, Callable[[], nn.Module]] = {
    "a full kernel and a depthwise one, which would take more": lambda: Sum(conv(1), conv(3, groups=WIDTH)),
    "of different values": lambda: Function(lambda x, first, second: first(x) + second(x.relu())),
    "a branch that another operation reads": lambda: Function(lambda x, first, second: (first(x) + second(y := second(x))) * y),
    "with an activation between": lambda: Function(lambda x, first, second: first(x).relu() + second(x)),
    "of different strides": lambda: Sum(conv(1, stride=2), nn.AvgPool2d(1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYS)
def test_what_is_no_such_sum_stays(name: str) -> None:
    assert "add" in ops(deployed(STAYS[name]()))


def test_a_shared_convolution_keeps_its_own_weights() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(3, norm=False)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.conv((x + self.conv(x)).relu())
            return answer

    assert ops(deployed(Shared())) == ["conv2d", "relu", "conv2d"]


def test_the_names_are_those_of_the_largest_branch() -> None:
    graph = deployed(repvgg())
    assert set(graph.tensors) == {"branches.0.0.weight", "branches.0.0.bias"}
    assert graph[graph.output].name == graph.nodes[-1].name


branches = st.fixed_dictionaries(
    {
        "kernel": st.sampled_from([1, 3, 5]),
        "groups": st.sampled_from([1, 2, 4, 8]),
        "dilation": st.sampled_from([1, 2]),
        "norm": st.booleans(),
    }
)


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(branches, min_size=1, max_size=4), whole=st.booleans(), stride=st.sampled_from([1, 2]))
def test_any_branches_are_merged_without_another_function_or_more_work(
    parts: Sequence[dict[str, int]], whole: bool, stride: int
) -> None:
    modules: list[nn.Module] = [conv(**part, stride=stride) for part in parts]  # type: ignore[arg-type]
    module = Sum(*modules, *([nn.Identity()] if whole and stride == 1 else []))
    graph = deployed(module)
    assert count(graph).madds <= count(capture(module, (1, *SHAPE))).madds


def network() -> nn.Module:
    torch.manual_seed(0)
    blocks = [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(), repvgg(), nn.ReLU(), repvgg(), nn.ReLU()]
    return randomised(nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 3))).eval()


def test_a_captured_network_trains_with_its_branches() -> None:
    graph = capture(network(), (1, *SHAPE))
    assert ops(graph).count("conv2d") == 5
    assert ops(graph).count("batch_norm") == 6
    assert any("2.branches.1.0" in name for name in GraphNetwork(graph).state_dict())


def test_files_budgets_and_integers_have_the_merged_network() -> None:
    trained = GraphNetwork(capture(network(), (1, *SHAPE)))
    merged = count(for_inference(trained.graph)).madds
    assert Deployed(trained.graph).cost.madds == merged < count(trained.graph).madds
    assert Deployed(trained.graph, "int8").cost.madds == merged
    assert ops(graph_of(to_onnx(trained.graph))).count("conv2d") == 3
    quantized = pc.quantize(trained, images(8, SHAPE)).graph
    assert ops(quantized).count("conv2d") == 3
    assert for_inference(quantized).nodes == quantized.nodes


def test_all_branches_lose_the_same_channels() -> None:
    trained = GraphNetwork(capture(network(), (1, *SHAPE)))
    graph = pc.prune(trained, macs=0.5).graph
    widths = {node.shape[0] for node in graph.nodes if node.name.startswith("2.branches")}
    assert len(widths) == 1
    assert widths.pop() < WIDTH
    merged = for_inference(graph)
    x = images(3, SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(GraphNetwork(merged).eval()(x), GraphNetwork(graph).eval()(x), rtol=1e-5, atol=1e-5)
    assert ops(merged).count("conv2d") == 3


def test_shapes_without_values_are_merged_alike() -> None:
    graph = capture(network(), (1, *SHAPE))
    shown = MetaGraph.of(graph, at_inference=True).graph
    assert count(for_inference(shown)).madds == count(for_inference(graph)).madds
    assert ops(for_inference(shown)) == ops(for_inference(graph))
