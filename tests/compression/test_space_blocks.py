"""Every operation of a search space's blocks: its cost, captured, pruned, in int8, and written for a runtime."""

import pytest
import torch
from torch import nn

from pocketcnn.compression.coupling import couple
from pocketcnn.compression.quantization import quantize
from pocketcnn.cost import count
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.graph.integer.interpreter import IntegerNetwork
from pocketcnn.nas.spaces.operations import OPERATIONS, SHUFFLES, Layer, layer
from pocketcnn.runtimes import get_runtime
from tests.support.removal import images_for, outputs, randomise, removal_error, some_classes

CHANNELS = 8
FORMS = [
    (operation, gated, skip, stride)
    for operation in OPERATIONS
    for gated, skip, stride in ((False, "identity", 1), (True, "pool", 2))
]


def network(operation: str, gated: bool, skip: str, stride: int) -> nn.Module:
    """Two blocks between a stem and a classifier."""
    torch.manual_seed(0)
    out = 2 * CHANNELS if stride == 2 else CHANNELS
    first = Layer(operation, CHANNELS, out, 5, stride, 3, gated, "relu6", skip)
    second = Layer(operation, out, out, 3, 1, 3, gated, "relu", skip)
    stem = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU())
    blocks = (layer(each, nn.BatchNorm2d) for each in (first, second))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(out, 4))
    return randomise(nn.Sequential(stem, *blocks, head))


@pytest.mark.parametrize(("operation", "gated", "skip", "stride"), FORMS)
@torch.no_grad()
def test_it_is_captured_pruned_quantized_and_written(operation: str, gated: bool, skip: str, stride: int) -> None:
    module = network(operation, gated, skip, stride)
    graph = capture(module, (1, 3, 13, 11))
    images = images_for(graph)
    torch.testing.assert_close(outputs(graph, images), module(images), rtol=1e-4, atol=1e-4)
    coupling = couple(graph)
    classes = some_classes(coupling, seed=1, share=0.5)
    assert classes
    assert removal_error(graph, classes, coupling) < 1e-5
    session = get_runtime("onnxruntime").build(to_onnx(graph).SerializeToString(), threads=1)
    assert (torch.from_numpy(session.run(images.numpy())) - module(images)).abs().max() < 1e-4
    session.close()
    calibration = torch.randn(64, 3, 13, 11, generator=torch.Generator().manual_seed(2))
    stored = quantize(GraphNetwork(graph), calibration, method="minmax").graph
    integers = IntegerNetwork(stored)
    assert integers.float_nodes == ()
    answers = outputs(stored, images)
    torch.testing.assert_close(torch.as_tensor(integers.run(images.numpy())), answers)
    assert (answers - module(images)).abs().max() < 0.1 * module(images).abs().max()


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_factorized_convolution_costs_two_over_k_of_the_whole_one(kernel: int) -> None:
    costs = {
        operation: count(layer(Layer(operation, 16, 16, kernel, skip="none"), nn.BatchNorm2d), (1, 16, 12, 12))
        for operation in ("conv", "factorized")
    }
    assert costs["factorized"].madds == costs["conv"].madds * 2 // kernel == 12 * 12 * 2 * kernel * 16**2
    assert costs["factorized"].params == 2 * kernel * 16**2 + 2 * 2 * 16


def test_the_operations_are_all_tried() -> None:
    assert {operation for operation, *_ in FORMS} == set(OPERATIONS) > {*SHUFFLES, "factorized"}
