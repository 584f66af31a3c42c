"""What capture cannot do ends with a sentence that names the module, its source line and the operation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph.capture.capture import CaptureError, capture
from pocketcnn.graph.network import GraphNetwork
from tests.support.small_networks import images

HERE = Path(__file__).name


class Untraceable(nn.Module):
    """A layer that uses an operation which the graph does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.erf(x)  # this line


class Block(nn.Module):
    """A layer somewhere in a network."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.conv, self.layer = nn.Conv2d(3, 4, 3, padding=1), layer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(self.conv(x))
        return result


class With(nn.Module):
    """A convolution, and then a function of its output, the images and a parameter."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(4, 1, 1))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.conv(x), x, self.gain)


def refusal(module: nn.Module, shape: tuple[int, ...] = (1, 3, 8, 8)) -> str:
    with pytest.raises(CaptureError) as caught:
        capture(module, shape)
    return str(caught.value)


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))


def test_an_operation_outside_the_set_is_named_with_its_module_and_line() -> None:
    message = refusal(nn.Sequential(nn.ReLU(), Block(Untraceable())))
    assert "erf" in message
    assert "module '1.layer' (Untraceable)" in message
    assert f"{HERE}:{line_of('return torch.special.erf(x)')} `return torch.special.erf(x)" in message
    assert "pocketcnn.graph.ops" in message  # where it could be added


def test_an_operation_of_the_network_itself() -> None:
    assert "the network itself (Untraceable)" in refusal(Untraceable())


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (lambda y, x, gain: y.mean(0), "mean"),
        (lambda y, x, gain: y - y.mean(0, keepdim=True), "mean"),
        (lambda y, x, gain: y.softmax(0), "softmax"),
        (lambda y, x, gain: y.transpose(0, 1), "transpose"),
        (lambda y, x, gain: y.permute(1, 0, 2, 3), "permute"),
        (lambda y, x, gain: y.roll(1, 0), "roll"),
        (lambda y, x, gain: y.roll(1), "roll"),
        (lambda y, x, gain: torch.cat([y, y], 0), "cat"),
        (lambda y, x, gain: y.flatten(), "flatten"),
        (lambda y, x, gain: y.reshape(-1, 4), "reshape"),
        (lambda y, x, gain: y[:2], "slice"),
        (lambda y, x, gain: y[0], "select"),
        (lambda y, x, gain: y.chunk(2, 0)[0], "chunk"),
        (lambda y, x, gain: y.sum(), "sum"),
    ],
)
def test_operations_that_mix_the_images_of_a_batch(function: Callable[..., Any], operation: str) -> None:
    message = refusal(With(function))
    assert f"aten.{operation}" in message
    assert "batch" in message


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda y, x, gain: F.pad(y, (1, 1, 1, 1, 1, 1), mode="replicate"), "pixels of H and W are supported"),
        (lambda y, x, gain: y.mean((2, 3), keepdim=True).expand_as(y).relu(), "added or multiplied can be expanded"),
        (lambda y, x, gain: F.pad(y, (0, 0, 0, 0, 1, 1)), "only constant padding of H and W"),
        (lambda y, x, gain: F.avg_pool2d(y, 2, divisor_override=3), "divisor_override"),
        (lambda y, x, gain: F.interpolate(y, size=(12, 12)), "only integer factors"),
        (lambda y, x, gain: y.clamp(min=y.mean((1, 2, 3), keepdim=True)), "they must be numbers"),
        (lambda y, x, gain: y**0.5, "1, 2, 3 and 4 are supported"),
        (lambda y, x, gain: y.repeat(2, 1, 1, 1), "batch"),
        (lambda y, x, gain: y.add(x.sum(1, keepdim=True), alpha=2), "only sums"),
        (lambda y, x, gain: y / 0, "division by zero"),
        (lambda y, x, gain: F.conv2d(x, y.mean((0, 2, 3)).view(4, 1, 1, 1).expand(4, 3, 1, 1)), "Cannot capture"),
        (lambda y, x, gain: F.batch_norm(y, None, None, training=True), "without running statistics"),
        (
            lambda y, x, gain: y[:, torch.tensor([0, 1]), torch.tensor([0, 1])],
            "only indexing by a constant list of channels",
        ),
    ],
)
def test_forms_of_known_operations_that_are_not_supported(function: Callable[..., Any], problem: str) -> None:
    with pytest.raises(CaptureError, match=problem):
        capture(With(function), (1, 3, 8, 8))


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda y, x, gain: (y, x), "returns 2 values; it must return one tensor"),
        (lambda y, x, gain: {"a": y, "b": x}, "returns 2 values"),
        (lambda y, x, gain: None, "returns 0 values"),
        (lambda y, x, gain: gain, "does not depend on its input"),
    ],
)
def test_networks_that_do_not_return_one_tensor(function: Callable[..., Any], problem: str) -> None:
    assert problem in refusal(With(function))


def test_a_network_of_two_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    assert "missing a required argument: 'y'" in refusal(Two())


def test_control_flow_that_depends_on_the_images(capfd: pytest.CaptureFixture[str]) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:  # depends on the images
                return x
            return -x

    message = refusal(Branching())
    assert "depends on the values of the images" in message
    assert f"{HERE}:{line_of('if x.sum() > 0:')}" in message
    assert capfd.readouterr() == ("", "")  # the exporter's dumps stay out of sight


def test_a_network_that_does_not_run_on_such_images() -> None:
    message = refusal(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(5, 4, 1)))
    assert "expected input" in message
    assert "(3, 8, 8)" in message
    assert "Kernel size can't be greater" in refusal(nn.Conv2d(3, 4, 9))


@pytest.mark.parametrize("shape", [(3,), (), (1, 0, 8, 8), (1, 3, -8, 8)])
def test_an_example_that_is_no_batch_of_images(shape: tuple[int, ...]) -> None:
    assert "must be (N, C, H, W)" in refusal(nn.ReLU(), shape)


def test_a_refused_module_keeps_its_mode() -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), Untraceable()).train()
    refusal(module)
    assert all(child.training for child in module.modules())


def test_names_with_all_that_torch_allows() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for index, name in enumerate(("conv-1", "größe", "with space", "1x1", "class", "a/b#2")):
                self.add_module(name, nn.Conv2d(3, 3, 1, bias=index % 2 == 0))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.children():
                x = torch.relu(layer(x))
            return x

    module = Named().eval()
    network = GraphNetwork(capture(module, (1, 3, 8, 8))).eval()
    assert network.state_dict().keys() == module.state_dict().keys()
    assert torch.equal(network(images(2, (3, 8, 8))), module(images(2, (3, 8, 8))))


@pytest.mark.parametrize("name", ["graph", "info", "run", "numerics"])
def test_a_layer_cannot_take_the_name_of_something_that_networks_have(name: str) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(name, nn.Conv2d(3, 3, 1))

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.get_submodule(name)(x)
            return result

    with pytest.raises(UsageError, match=rf"cannot have the name '{name}'.*Rename"):
        GraphNetwork(capture(Named(), (1, 3, 8, 8)))
    assert issubclass(CaptureError, PocketcnnError)
