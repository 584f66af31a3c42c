"""Operators that are several operations of the graph, and expressions of parameters alone, which become weights."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from pocketcnn.graph import Graph, GraphNetwork, capture
from tests.support.small_networks import images

SHAPE = (6, 5, 5)
X = torch.linspace(-4, 4, 3 * 150).reshape(3, *SHAPE)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.gain = nn.Parameter(torch.linspace(-1, 1, 6))
        self.weight = nn.Parameter(torch.randn(6, 6, 3, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


def captured(module: nn.Module, x: Tensor = X) -> Graph:
    """The graph, which answers as the module does."""
    graph = capture(module.eval(), (1, *x.shape[1:]))
    with torch.no_grad():
        torch.testing.assert_close(GraphNetwork(graph).eval()(x), module(x), rtol=1e-5, atol=1e-5)
    return graph


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes[1:]]


FORMS: dict[str, tuple[Callable[[Tensor], Tensor], set[str]]] = {
    "gelu": (F.gelu, {"gelu"}),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), {"gelu"}),
    "gelu written out": (lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), {"gelu"}),
    "gelu, half last": (lambda x: x * (torch.erf(x * 2**-0.5) + 1) * 0.5, {"gelu"}),
    "gelu, half inside": (lambda x: x * (0.5 * torch.erf(x / 1.4142135) + 0.5), {"gelu"}),
    "not quite gelu": (lambda x: x * 0.5 * (1 + torch.erf(x / 2)), {"affine", "erf", "mul"}),
    "selu": (F.selu, {"elu", "affine"}),
    "celu": (lambda x: F.celu(x, 0.7), {"elu", "affine"}),
    "clamp from below": (lambda x: x.clamp(min=-0.5), {"clip"}),
    "clamp from above": (lambda x: x.clamp_max(1.5), {"clip"}),
    "square": (torch.square, {"mul"}),
    "power": (lambda x: x**3, {"mul"}),
    "stack": (lambda x: torch.stack([x, x.relu()], 2).flatten(1, 2), {"relu", "reshape", "concat"}),
    "unbind": (lambda x: torch.stack(x.unbind(1)[::-1], 1), {"slice", "reshape", "concat"}),
    "expand": (lambda x: x * x.mean((2, 3), keepdim=True).expand_as(x), {"mean", "mul"}),
    "reflect": (lambda x: F.pad(x, (1, 2, 3, 0), mode="reflect"), {"slice", "concat"}),
    "replicate": (lambda x: F.pad(x, (2, 0, 1, 3), mode="replicate"), {"slice", "concat"}),
    "circular": (lambda x: F.pad(x, (2, 1, 0, 3), mode="circular"), {"slice", "concat"}),
    "repeat": (lambda x: x.repeat(1, 2, 1, 3), {"concat"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_computes_the_same(name: str) -> None:
    function, expected = FORMS[name]
    assert set(ops(captured(Function(lambda x, weight: function(x))))) == expected


def test_a_linear_layer_on_channels_last_is_a_convolution() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            tokens: Tensor = self.layer(x.flatten(2).transpose(1, 2)).mean(1)
            return self.layer(x.permute(0, 2, 3, 1)).mean((1, 2)) + tokens

    graph = captured(Last())
    assert ops(graph).count("conv2d") == 2


def test_a_convolution_along_the_channels() -> None:
    """Efficient channel attention."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            gate: Tensor = self.conv(x.mean((2, 3)).view(x.shape[0], 1, -1)).sigmoid()
            return x * gate.view(x.shape[0], -1, 1, 1)

    graph = captured(Attention())
    assert graph.tensors.keys() == {"conv.weight"}
    assert "conv2d" in ops(graph)


def standardized(x: Tensor, weight: Tensor) -> Tensor:
    flat = F.batch_norm(weight.reshape(1, 6, -1), None, None, training=True, momentum=0.0)
    return F.conv2d(x, flat.reshape_as(weight), padding=1)


EXPRESSIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "weight standardization": standardized,
    "mean and deviation": lambda x, w: F.conv2d(x, (w - w.mean((1, 2, 3), True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)),
    "a constant made in forward": lambda x, w: x * torch.linspace(0, 1, 6).view(1, 6, 1, 1),
    "a reshaped parameter": lambda x, w: F.conv2d(x, w.view(6, 2, 9, 3), groups=3, padding=4),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_of_parameters_becomes_a_weight(name: str) -> None:
    graph = captured(Function(EXPRESSIONS[name]))
    assert len(ops(graph)) <= 2
    assert graph.tensors.keys() <= {"weight", "constant", "lifted_tensor_0"}


def test_a_weight_that_is_also_read_as_it_is_keeps_its_name() -> None:
    graph = captured(Function(lambda x, w: F.conv2d(F.conv2d(x, w, padding=1), w.abs(), padding=1)))
    assert graph.tensors.keys() == {"weight", "weight_"}


def test_a_constant_made_in_forward_is_not_trained() -> None:
    network = GraphNetwork(captured(Function(EXPRESSIONS["a constant made in forward"])))
    assert not list(network.parameters())
    assert list(GraphNetwork(captured(Function(standardized))).parameters())


@pytest.mark.parametrize("form", ["weight_norm", "spectral_norm", "mask"])
def test_the_parametrizations_of_torch(form: str) -> None:
    layer = nn.Conv2d(6, 6, 3)
    if form == "mask":
        prune.l1_unstructured(layer, "weight", 0.5)
    else:
        getattr(parametrizations, form)(layer)
    module = nn.Sequential(layer, nn.ReLU()).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert ops(captured(module, images(3, SHAPE))) == ["conv2d", "relu"]
    torch.testing.assert_close(dict(module.state_dict()), before)


def test_what_depends_on_chance_is_no_constant() -> None:
    with pytest.raises(Exception, match="Cannot capture"):
        capture(Function(lambda x, w: x * torch.rand(6, 1, 1)), (1, *SHAPE))
