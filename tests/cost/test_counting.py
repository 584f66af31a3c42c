"""Counts against the papers, against torch's own counter, and against sums done by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import pocketcnn as pc
from pocketcnn.cost import Cost, count
from pocketcnn.errors import UsageError
from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics, WeightFormat
from pocketcnn.graph.passes.fold import for_inference
from pocketcnn.vision import require_torchvision

PUBLISHED = {  # network -> parameters and multiply-adds at 224 x 224
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v3_large": (5_483_032, 216_589_760),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_torchvision_networks_cost_what_the_papers_say(name: str) -> None:
    module = getattr(require_torchvision("models"), name)(weights=None)
    cost = count(module, (1, 3, 224, 224))
    assert (cost.params, cost.madds) == PUBLISHED[name]
    assert cost.params == sum(parameter.numel() for parameter in module.parameters())
    assert cost.flops == 2 * cost.madds


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_of_the_zoo_cost_what_the_papers_say(name: str) -> None:
    cost = count(pc.create(name), (8, 3, 224, 224))
    assert (cost.params, cost.madds) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mnasnet0_5", "squeezenet1_1", "resnet18", "regnet_y_400mf"])
def test_multiply_adds_are_half_of_what_torch_counts_as_flops(name: str) -> None:
    module = getattr(require_torchvision("models"), name)(weights=None).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, 64, 64))
    assert count(module, (1, 3, 64, 64)).flops == counter.get_total_flops()


class Small(nn.Module):
    """conv 3 -> 4 with stride 2 on 8 x 8, batch norm, ReLU, depthwise, residual add, mean, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4)
        self.depthwise = nn.Conv2d(4, 4, 3, 1, 1, groups=4)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = x + self.depthwise(x)
        result: Tensor = self.fc(x.mean((2, 3)))
        return result


def small_cost() -> Cost:
    return count(Small(), (1, 3, 8, 8))


def test_each_layer_by_hand() -> None:
    layers = {layer.name: layer for layer in small_cost().layers}
    conv, norm, depthwise, fc = (layers[name] for name in ("conv", "norm", "depthwise", "fc"))
    assert (conv.shape, conv.madds, conv.params, conv.weight_bytes) == ((4, 4, 4), 9 * 3 * 4 * 16, 108, 432)
    assert (conv.input_bytes, conv.output_bytes) == (3 * 64 * 4, 64 * 4)
    assert conv.memory_access_bytes == 432 + 768 + 256
    assert (norm.madds, norm.params, norm.weight_bytes) == (0, 8, 16 * 4)  # running statistics are stored, not learned
    assert (depthwise.madds, depthwise.params) == (9 * 4 * 16, 36 + 4)
    assert layers["add"].input_bytes == 2 * 64 * 4
    assert (fc.madds, fc.params, fc.shape) == (20, 25, (5,))
    assert fc.share == pytest.approx(20 / (1728 + 576 + 20))


def test_totals_are_the_sums_of_the_layers() -> None:
    cost = small_cost()
    for figure in ("madds", "params", "weight_bytes", "memory_access_bytes"):
        assert getattr(cost, figure) == sum(getattr(layer, figure) for layer in cost.layers)
    assert sum(layer.share for layer in cost.layers) == pytest.approx(1)
    assert cost.peak_activation_bytes == max(layer.live_bytes for layer in cost.layers)
    assert cost.peak_layer == "conv"  # the image and the first feature map
    assert cost.peak_activation_bytes == (3 * 64 + 64) * 4


def test_a_module_its_graph_and_its_network_cost_the_same() -> None:
    graph = capture(Small(), (1, 3, 8, 8))
    assert count(graph) == count(pc.GraphNetwork(graph)) == count(graph, (7, 3, 8, 8)) == small_cost()


def test_a_replaced_layer_counts_with_its_new_shape() -> None:
    network = pc.GraphNetwork(capture(Small(), (1, 3, 8, 8)))
    network.add_module("fc", nn.Linear(4, 50))
    assert count(network).params == small_cost().params + 45 * 5


def test_folding_takes_the_batch_norm_out_of_the_count() -> None:
    before, after = small_cost(), count(for_inference(capture(Small(), (1, 3, 8, 8))))
    assert after.madds == before.madds
    assert after.params == before.params - 8 + 4  # scale and offset go, a bias comes
    assert after.weight_bytes == 4 * after.params
    assert "norm" not in {layer.name for layer in after.layers}


def test_a_shared_layer_is_stored_once_and_computed_twice() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(torch.relu(self.conv(x))).flatten(1)

    cost = count(Shared(), (1, 3, 4, 4))
    assert (cost.params, cost.weight_bytes, cost.madds) == (12, 48, 2 * 9 * 16)


def quantized_small() -> Graph:
    graph = for_inference(capture(Small(), (1, 3, 8, 8)))
    weights = [node.tensors["weight"] for node in graph.nodes if "weight" in node.tensors]
    scales = {f"{name}_scale": torch.ones(graph.tensors[name].shape[0]) for name in weights}
    form = ActivationFormat(scale=0.1, zero_point=0)
    formats = {node.name: form for node in graph.nodes if node.name not in ("conv", "fc")}
    numerics = Numerics(activations=formats, weights={name: WeightFormat(scale=f"{name}_scale") for name in weights})
    return graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics)


def test_integer_formats_by_hand() -> None:
    """Weights 1 byte, a scale for each channel 4, a bias 4; values with a format 1, the float answer 4."""
    cost = count(quantized_small())
    layers = {layer.name: layer for layer in cost.layers}
    assert layers["conv"].weight_bytes == 108 + 4 * 4 + 4 * 4
    assert layers["fc"].weight_bytes == 20 + 5 * 4 + 5 * 4
    assert layers["conv"].output_bytes == 64  # ReLU, which alone reads it, is computed with it
    assert (layers["fc"].input_bytes, layers["fc"].output_bytes) == (4, 20)
    assert cost.peak_activation_bytes == 3 * 64 + 64
    assert cost.params == count(for_inference(capture(Small(), (1, 3, 8, 8)))).params


def test_index_lists_and_constants() -> None:
    nodes = (
        Node("input", "input", (), (4, 2, 2)),
        Node("pick", "gather", ("input",), (), {}, {"index": "order"}),
        Node("gain", "constant", (), (), {"shape": (3, 1, 1)}, {"value": "gain"}),
        Node("mul", "mul", ("pick", "gain"), ()),
    )
    tensors = {"order": torch.tensor([3, 0, 1]), "gain": torch.ones(3)}
    cost = count(Graph(nodes, "mul", tensors).rebuilt())
    assert (cost.params, cost.weight_bytes) == (3, 3 * 8 + 3 * 4)
    assert {layer.name: layer.input_bytes for layer in cost.layers} == {"pick": 64, "gain": 0, "mul": 48}


def test_wrong_requests_are_answered_with_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"give its input shape: count\(network, \(1, C, H, W\)\)"):
        count(Small())
    with pytest.raises(UsageError, match=r"captured for images of shape \(3, 8, 8\), not \(3, 9, 9\)"):
        count(capture(Small(), (1, 3, 8, 8)), (1, 3, 9, 9))
