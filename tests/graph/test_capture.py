"""Networks of torchvision and timm, captured: the same answers in eval and in train mode, under the same names."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.vision import require_torchvision
from tests.support.small_networks import images, randomised

TORCHVISION: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "resnet18": {},
    "resnet50": {},
    "squeezenet1_0": {},
    "mobilenet_v2": {},
    "mobilenet_v3_large": {},
    "mobilenet_v3_small": {},
    "shufflenet_v2_x1_0": {},
    "mnasnet1_0": {},
    "densenet121": {},
    "googlenet": {"aux_logits": False, "init_weights": False},
    "efficientnet_b0": {"stochastic_depth_prob": 0.0},  # a regulariser that is not captured, see `capture`
    "regnet_y_400mf": {},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}
TIMM = (
    "mobilenetv1_100",
    "mobilenetv4_conv_small",
    "mnasnet_small",
    "semnasnet_075",
    "spnasnet_100",
    "tf_efficientnet_lite0",
    "ghostnet_100",
    "repghostnet_050",
    "lcnet_050",
    "mixnet_s",
    "fbnetc_100",
    "fbnetv3_b",
    "hardcorenas_a",
    "tinynet_a",
    "rexnet_100",
    "mobileone_s0",
    "repvgg_a0",
    "regnetx_002",
    "gernet_s",
    "res2net50_26w_4s",
    "seresnet50",
    "resnest14d",
    "cspresnet50",
    "hrnet_w18_small",
    "dpn48b",
    "dla34",
    "selecsls42b",
    "xception41",
    "vovnet39a",
    "ese_vovnet19b_dw",
    "starnet_s1",
    "nasnetalarge",
)
SMALLEST = {"inception_v3": 75, "alexnet": 63}
ALL = [*(f"torchvision {name}" for name in TORCHVISION), *(f"timm {name}" for name in TIMM)]


def created(network: str) -> nn.Module:
    """The network with random weights and 10 classes."""
    library, name = network.split()
    torch.manual_seed(0)
    if library == "timm":
        timm = pytest.importorskip("timm")
        module: nn.Module = timm.create_model(name, num_classes=10)
    else:
        module = getattr(require_torchvision("models"), name)(weights=None, num_classes=10, **TORCHVISION[name])
    return randomised(module)


def learned_state(module: nn.Module) -> dict[str, Tensor]:
    """Everything but the counters of batch norm, which the graph has no use for."""
    return {name: value for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")}


def test_the_list_is_as_long_as_promised() -> None:
    assert len(set(ALL)) >= 40


@pytest.mark.parametrize("network", ALL)
def test_captured_networks_answer_as_their_source(network: str) -> None:
    module = created(network).eval()
    size = SMALLEST.get(network.split()[1], 64 if "timm" in network else 48)
    x = images(2, (3, size, size))
    graph_network = GraphNetwork(capture(module, x)).eval()
    with torch.inference_mode():
        torch.testing.assert_close(graph_network(x), module(x), rtol=1e-5, atol=1e-5)
    assert graph_network.state_dict().keys() == module.state_dict().keys()
    with torch.no_grad():
        torch.testing.assert_close(_trained(graph_network, x), _trained(module, x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(learned_state(graph_network), learned_state(module), rtol=1e-5, atol=1e-5)


def _trained(module: nn.Module, x: Tensor) -> Tensor:
    """The answer in train mode, with dropout under one seed; running statistics move."""
    torch.manual_seed(3)
    answer: Tensor = module.train()(x)
    return answer


@pytest.mark.parametrize(
    "network", ["torchvision mobilenet_v3_small", "torchvision shufflenet_v2_x1_0", "timm mixnet_s"]
)
def test_gradients_are_those_of_the_source(network: str) -> None:
    module = created(network)
    graph_network = GraphNetwork(capture(module, (1, 3, 64, 64)))
    for candidate in (module, graph_network):
        _trained(candidate, images(4, (3, 64, 64))).square().sum().backward()
    expected = {name: parameter.grad for name, parameter in module.named_parameters()}
    found = {name: parameter.grad for name, parameter in graph_network.named_parameters()}
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_source_keeps_its_mode_and_its_weights() -> None:
    module = created("torchvision mobilenet_v3_small").train()
    module.get_submodule("features.3").eval()
    modes = {name: child.training for name, child in module.named_modules()}
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = GraphNetwork(capture(module, (1, 3, 64, 64)))
    assert {name: child.training for name, child in module.named_modules()} == modes
    with torch.no_grad():
        next(network.parameters()).zero_()  # a network owns its tensors
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)


def test_a_network_captured_again_is_the_same_graph() -> None:
    network = GraphNetwork(capture(created("torchvision mobilenet_v3_small"), (1, 3, 64, 64))).eval()
    again = capture(network, (1, 3, 64, 64))
    assert [(node.op, node.shape, node.tensors, node.attrs) for node in again.nodes] == [
        (node.op, node.shape, node.tensors, node.attrs) for node in network.graph.nodes
    ]
    x = images(2, (3, 64, 64))
    assert torch.equal(GraphNetwork(again).eval()(x), network(x))


def test_the_batch_axis_is_free_and_the_image_size_is_not_that_of_the_source() -> None:
    graph = capture(created("torchvision squeezenet1_0"), (1, 3, 65, 97))
    assert (graph.input_shape, graph.output_shape) == ((3, 65, 97), (10,))
    network = GraphNetwork(graph).eval()
    x = images(5, (3, 65, 97))
    one_by_one = torch.cat([network(image[None]) for image in x])
    torch.testing.assert_close(network(x), one_by_one)


def test_parameters_in_the_shapes_that_networks_give_them() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.rand(3))
            self.offset = nn.Parameter(torch.rand(1, 3, 1, 1))
            self.temperature = nn.Parameter(torch.tensor(0.7))

        def forward(self, x: Tensor) -> Tensor:
            x = x * self.gain.view(1, 3, 1, 1) + self.offset + self.gain[:, None, None]
            return x.mean((2, 3)) * self.gain / self.temperature

    module = Scaled().eval()
    network = GraphNetwork(capture(module, (1, 3, 8, 8))).eval()
    assert network.state_dict().keys() == module.state_dict().keys()
    torch.testing.assert_close(network(images(2, (3, 8, 8))), module(images(2, (3, 8, 8))))
