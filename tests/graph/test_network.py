"""A graph as a module: trained, copied, stored, changed and observed as any other."""

import copy
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.cost import count
from pocketcnn.errors import UsageError
from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.model_file import load, save
from pocketcnn.graph.network import GraphNetwork, predictions
from pocketcnn.graph.node import Node
from pocketcnn.graph.passes.fold import for_inference
from tests.support.small_networks import SHAPE, float_network, images, pruned_network, quantized_network, small_network

KINDS = {"float": float_network, "pruned": pruned_network, "quantized": quantized_network}
kinds = pytest.mark.parametrize("kind", KINDS)


def fitted(network: GraphNetwork, steps: int = 80) -> list[float]:
    """Losses of some steps of training on four images, small enough that the loss falls whatever dropout draws."""
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    torch.manual_seed(0)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(network.train()(images()), torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@kinds
def test_it_trains(kind: str) -> None:
    network = KINDS[kind]()
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    losses = fitted(network)
    assert sum(losses[-10:]) / 10 < 0.9 * losses[0]
    assert all(not torch.equal(before[name], value) for name, value in network.named_parameters())


def test_the_layers_are_ordinary_layers_under_the_original_names() -> None:
    source, network = small_network(), float_network()
    layers = {
        name: type(layer)
        for name, layer in source.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    }
    assert layers == {name: type(network.get_submodule(name)) for name in layers}
    network.load_state_dict(source.state_dict())  # strict


@kinds
def test_a_deep_copy_is_equal_and_independent(kind: str) -> None:
    network = KINDS[kind]()
    before = network(images())
    twin = copy.deepcopy(network)
    assert torch.equal(twin(images()), before)
    fitted(twin, steps=2)
    assert torch.equal(network.eval()(images()), before)
    assert not torch.equal(twin.eval()(images()), before)


@kinds
def test_state_dict_round_trip(kind: str) -> None:
    trained, fresh = KINDS[kind](), KINDS[kind]()
    fitted(trained, steps=2)
    buffer = io.BytesIO()
    torch.save(trained.state_dict(), buffer)
    buffer.seek(0)
    fresh.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(fresh.eval()(images()), trained.eval()(images()))


def test_its_graph_shares_the_tensors() -> None:
    network = float_network()
    graph = network.graph
    with torch.no_grad():
        network.get_parameter("classifier.1.bias").fill_(7)
    assert graph.tensors["classifier.1.bias"].tolist() == [7] * 5
    assert not graph.tensors["classifier.1.bias"].requires_grad


@kinds
def test_a_network_of_its_graph_is_the_same_network(kind: str) -> None:
    network = KINDS[kind]()
    again = GraphNetwork(network.graph, network.info).eval()
    assert again.numerics == network.numerics
    assert torch.equal(again(images()), network(images()))


def test_a_replaced_layer_is_used() -> None:
    network = float_network()
    network.get_submodule("classifier")._modules["1"] = nn.Linear(12, 9)
    assert network(images()).shape == (4, 9)
    assert network.graph.rebuilt().output_shape == (9,)


def test_a_layer_replaced_by_another_kind_is_used_but_has_no_graph() -> None:
    network = float_network()
    network.get_submodule("classifier")._modules["1"] = nn.Sequential(nn.Linear(12, 9), nn.ReLU())
    assert network(images()).shape == (4, 9)
    with pytest.raises(UsageError, match=r"has no tensor 'classifier\.1\..*Capture the network again"):
        _ = network.graph
    assert capture(network, (1, *SHAPE)).output_shape == (9,)


@pytest.mark.parametrize("shape", [(4, 3, 16, 17), (4, 1, 16, 16), (3, 16, 16), (4, 3, 16, 16, 1)])
def test_images_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"takes images of shape \(N, 3, 16, 16\), not \("):
        float_network()(torch.zeros(shape))


def test_a_layer_used_twice_is_one_layer() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
            self.slope = nn.PReLU(3)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(2):
                x = self.slope(self.norm(self.conv(x)))
            return x

    module = Twice()
    network = GraphNetwork(capture(module, (1, *SHAPE)))
    assert network.state_dict().keys() == module.state_dict().keys()
    for candidate in (module, network):
        candidate.train()(images()).square().sum().backward()
    torch.testing.assert_close(network.get_parameter("conv.weight").grad, module.conv.weight.grad)
    torch.testing.assert_close(network.get_buffer("norm.running_mean"), module.norm.running_mean)
    assert torch.equal(network.eval()(images()), module.eval()(images()))


def test_a_weight_that_layers_of_different_forms_share() -> None:
    class Dilated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 3, 3, padding=1)
            self.second = nn.Conv2d(3, 3, 3, padding=2, dilation=2)
            self.second.weight, self.second.bias = self.first.weight, self.first.bias

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.second(self.first(x))
            return result

    module = Dilated().eval()
    network = GraphNetwork(capture(module, (1, *SHAPE))).eval()
    assert torch.equal(network(images()), module(images()))
    assert sum(parameter.numel() for parameter in network.parameters()) == 84


def test_a_layer_with_layers_of_its_own() -> None:
    class ConvWithChild(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(3, 3, 1)
            self.child = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = super().forward(self.child(x))
            return result

    module = nn.Sequential(ConvWithChild()).eval()
    network = GraphNetwork(capture(module, (1, *SHAPE))).eval()
    assert network.state_dict().keys() == module.state_dict().keys()
    assert torch.equal(network(images()), module(images()))


def test_parameters_are_trained_and_buffers_are_not(tmp_path: Path) -> None:
    """Also where a layer's role would be trained, through passes, and after a file was written and read."""

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.full((3, 1, 1), 2.0))
            self.register_buffer("mean", torch.full((3, 1, 1), 0.5))
            self.register_buffer("blur", torch.full((3, 1, 2, 2), 0.25))
            self.register_buffer("order", torch.tensor([2, 0, 1]))
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.conv2d((x - self.mean) * self.gain, self.blur, groups=3)
            result: Tensor = self.conv(x[:, self.order])
            return result

    module = Fixed().eval()
    captured = GraphNetwork(capture(module, (1, *SHAPE)))
    loaded = load(save(tmp_path / "m.safetensors", GraphNetwork(for_inference(captured.graph))))
    for network in (captured.eval(), loaded.eval(), GraphNetwork(capture(captured, (1, *SHAPE)))):
        assert dict(network.named_parameters()).keys() == dict(module.named_parameters()).keys()
        assert dict(network.named_buffers()).keys() == dict(module.named_buffers()).keys()
        assert torch.equal(network(images()), module(images()))
    assert count(captured).params == sum(parameter.numel() for parameter in module.parameters())


def test_every_value_can_be_observed_as_the_next_layer_sees_it() -> None:
    network = quantized_network()
    seen: dict[str, Tensor] = {}
    answer = network.run(images(), lambda node, value: seen.__setitem__(node.name, value))
    assert list(seen) == [node.name for node in network.graph.nodes]
    assert all(tuple(seen[node.name].shape[1:]) == node.shape for node in network.graph.nodes)
    assert torch.equal(seen[network.graph.output], answer)
    for name, form in network.numerics.activations.items():
        steps = seen[name] / form.scale
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)
        assert len(seen[name].unique()) <= 2**form.bits


def test_other_number_types_and_devices_by_the_usual_calls() -> None:
    network = float_network()
    expected = network(images())
    torch.testing.assert_close(network.double()(images().double()).float(), expected, rtol=1e-4, atol=1e-5)
    assert network.to("meta").graph.tensors["stem.0.weight"].device.type == "meta"


def test_building_a_network_draws_no_random_numbers() -> None:
    graph = float_network().graph
    torch.manual_seed(5)
    state = torch.get_rng_state()
    GraphNetwork(graph)
    assert torch.equal(torch.get_rng_state(), state)


def test_predictions_are_in_eval_mode_and_in_batches() -> None:
    network = float_network().train()
    found = predictions(network, images(7), batch_size=3)
    assert network.training
    torch.testing.assert_close(found, network.eval()(images(7)))
    assert not found.requires_grad


def test_a_name_cannot_be_a_tensor_and_a_module_at_once() -> None:
    nodes = (
        Node("input", "input", (), (3, 4, 4)),
        Node("a", "constant", (), (), {"shape": (3, 1, 1)}, {"value": "x"}),
        Node("b", "constant", (), (), {"shape": (3, 1, 1)}, {"value": "x.y"}),
        Node("c", "mul", ("a", "b"), ()),
        Node("d", "mul", ("c", "input"), ()),
    )
    tensors = {"x": torch.ones(3), "x.y": torch.ones(3)}
    for order in (["x", "x.y"], ["x.y", "x"]):
        with pytest.raises(UsageError, match="cannot have the name 'x'"):
            GraphNetwork(Graph(nodes, "d", {name: tensors[name] for name in order}).rebuilt())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: (255 * x).to(torch.uint8), "preprocessed images, float32, not uint8"),
        (lambda x: x.long(), "not int64"),
        (lambda x: x.to(torch.complex64), "not complex64"),
        (lambda x: x.double(), r"images are float64, the weights float32.*images\.to\(torch\.float32\)"),
        (lambda x: x.half(), "images are float16"),
        (lambda x: x.numpy(), "a tensor of images.* not a ndarray"),
        (lambda x: x.tolist(), "not a list"),
        (lambda x: None, "not a NoneType"),
        (lambda x: x[0], "images of shape"),
        (lambda x: x[:, :2], "images of shape"),
        (lambda x: x[..., :5], "images of shape"),
    ],
)
def test_wrong_images_are_refused_in_words_wherever_they_go_in(change: Any, says: str) -> None:
    network = GraphNetwork(capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval(), (1, 3, 8, 8)))
    wrong = change(torch.rand(4, 3, 8, 8))
    for call in (network, network.eval(), lambda x: pc.quantize(network, x), lambda x: predictions(network, x)):
        with pytest.raises(UsageError, match=says):
            call(wrong)


def test_images_of_the_weights_type_and_under_autocast_run() -> None:
    network = GraphNetwork(capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval(), (1, 3, 8, 8)))
    images = torch.rand(2, 3, 8, 8)
    assert network.double()(images.double()).dtype is torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert network.float()(images.to(torch.bfloat16)).dtype is torch.bfloat16
