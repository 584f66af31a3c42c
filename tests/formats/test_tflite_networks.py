"""Whole networks in TensorFlow Lite: float32 within 1e-4 of PyTorch, int8 beside the simulation of its integers."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.compression.quantization import quantize
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.formats.tflite import to_tflite
from pocketcnn.graph import GraphNetwork, capture, for_inference
from pocketcnn.vision import require_torchvision
from tests.support.small_networks import images, randomised
from tests.support.tflite import run, simulated

TORCHVISION = ("shufflenet_v2_x0_5", "squeezenet1_1", "densenet121", "mobilenet_v3_small", "mnasnet0_5")
TIMM = (
    *("mixnet_s", "hrnet_w18_small", "nasnetalarge", "rexnet_100", "resnest14d", "ghostnet_100", "regnetx_002"),
    *("dla34", "inception_v3", "tf_efficientnet_lite0", "lcnet_050", "repvgg_a0"),
)
NAMES = (*zoo.list_models(), *(f"torchvision {name}" for name in TORCHVISION), *(f"timm {name}" for name in TIMM))
QUICK = frozenset({"mobilenet_v3_small", "shufflenet_v1", "shufflenet_v2", "squeezenet1_1"})
"""Those that between them use nearly every operation; the rest is slow."""

SIDES = {"timm inception_v3": 96, "alexnet": 96}
CASES = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES]


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    library, _, network = name.rpartition(" ")
    if library == "torchvision":
        return require_torchvision("models").get_model(network, num_classes=10)
    if library == "timm":
        require_torchvision()  # timm imports torchvision
        timm = pytest.importorskip("timm")
        return timm.create_model(network, num_classes=10)
    narrow = {"width": 0.5} if "width" in zoo.network_options(name) else {}
    return zoo.create(name, classes=10, **narrow)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_network_computes_the_same_in_litert(name: str, record_property) -> None:
    side = SIDES.get(name, 64)
    shape = (3, side, side)
    network = GraphNetwork(for_inference(capture(randomised(build(name)).eval(), (1, *shape)))).eval()
    x = images(8, shape)
    expected = simulated(network.graph, x)
    spread = float(expected.max() - expected.min())
    data = to_tflite(network.graph)
    error = float((run(data, x) - expected).abs().max()) / spread
    integers = quantize(network, images(8, shape, seed=2), method="minmax").eval()
    stored = to_tflite(integers.graph)
    simulation = simulated(integers.graph, x)
    answers = run(stored, x)
    off = (answers - simulation).abs() / spread
    figures = {
        "float error": error,
        "int8 mean error": float(off.mean()),
        "int8 worst error": float(off.max()),
        "int8 same answer": float((answers.argmax(1) == simulation.argmax(1)).float().mean()),
        "int8 error of the simulation": float((simulation - expected).abs().mean()) / spread,
        "float bytes / ONNX": len(data) / to_onnx(network.graph).ByteSize(),
        "int8 bytes / ONNX": len(stored) / to_onnx(integers.graph).ByteSize(),
    }
    record_property("figures", {key: float(f"{value:.3g}") for key, value in figures.items()})
    assert error <= 1e-4
    # A sum that is rounded the other way changes what follows, and a network with random weights does not dampen that.
    assert figures["int8 mean error"] <= 1e-3 + 1.5 * figures["int8 error of the simulation"]
