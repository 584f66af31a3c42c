"""Whole networks: what ONNX Runtime computes from the file is what PyTorch computes, within 1e-4."""

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.vision import require_torchvision
from tests.support.onnx_support import run
from tests.support.small_networks import randomised

SIDE = 64

SLOW = frozenset(
    {"alexnet", "resnet34", "resnet50", "resnet101", "mnasnet_b1", "nasnet_large", "condensenet_86", "condensenet_182"}
    | {f"vgg{depth}{form}" for depth in (11, 13, 16, 19) for form in ("", "_bn")}
    | {f"efficientnet_lite{size}" for size in range(1, 5)}
    | {"shiftnet_a", "shiftnet_b", "mobilenet_v4_conv_medium", "mobilenet_v3_large", "mobilenet_v3_large_minimalistic"}
    | {f"torchvision {name}" for name in ("densenet121", "mobilenet_v3_small", "mnasnet0_5", "squeezenet1_1")}
    | {f"timm {name}" for name in ("nasnetalarge", "hrnet_w18_small", "inception_v3", "dla34", "tf_efficientnet_lite0")}
    | {f"timm {name}" for name in ("ghostnet_100", "repvgg_a0")}
)
"""Siblings of others in the list, and the heaviest."""

TORCHVISION = ("shufflenet_v2_x0_5", "squeezenet1_1", "densenet121", "mobilenet_v3_small", "mnasnet0_5")
TIMM = (
    *("mixnet_s", "hrnet_w18_small", "nasnetalarge", "rexnet_100", "resnest14d", "ghostnet_100", "regnetx_002"),
    *("dla34", "inception_v3", "tf_efficientnet_lite0", "lcnet_050", "repvgg_a0"),
)
NAMES = (*zoo.list_models(), *(f"torchvision {name}" for name in TORCHVISION), *(f"timm {name}" for name in TIMM))


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


def side(name: str) -> int:
    return {"timm inception_v3": 96, "alexnet": 96}.get(name, SIDE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NAMES]
)
@torch.no_grad()
def test_a_network_computes_the_same_in_onnx_runtime(name: str) -> None:
    module, size = randomised(build(name)).eval(), side(name)
    graph = capture(module, (1, 3, size, size))
    x = torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(1))
    expected = GraphNetwork(graph).eval()(x)
    room = 1e-4 * max(1.0, float(expected.abs().max()))
    one, five = run(to_onnx(graph), x[:1], x)
    assert (one - expected[:1]).abs().max() <= room
    assert (five - expected).abs().max() <= room
