"""The networks on which a format is tried: the zoo, and some of torchvision and timm."""

import torch
from torch import Tensor, nn

import pocketcnn.models as zoo
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.vision import require_torchvision
from tests.support.small_networks import randomised

SIDE = 64
SIDES = {"timm inception_v3": 96, "alexnet": 96}
TORCHVISION = ("shufflenet_v2_x0_5", "squeezenet1_1", "densenet121", "mobilenet_v3_small", "mnasnet0_5")
TIMM = (
    "mixnet_s",
    "hrnet_w18_small",
    "rexnet_100",
    "resnest14d",
    "ghostnet_100",
    "regnetx_002",
    "tf_efficientnet_lite0",
)
NAMES = (*zoo.list_models(), *(f"torchvision {name}" for name in TORCHVISION), *(f"timm {name}" for name in TIMM))


def network(name: str) -> GraphNetwork:
    """The network of that name with random weights, of half the width where it has widths."""
    torch.manual_seed(0)
    side = SIDES.get(name, SIDE)
    return GraphNetwork(capture(randomised(_module(name)).eval(), (1, 3, side, side))).eval()


def images(name: str, count: int) -> Tensor:
    side = SIDES.get(name, SIDE)
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def _module(name: str) -> nn.Module:
    library, _, network = name.rpartition(" ")
    if library == "torchvision":
        return require_torchvision("models").get_model(network, num_classes=10)
    if library == "timm":
        require_torchvision()  # timm imports torchvision
        import timm

        return timm.create_model(network, num_classes=10)
    narrow = {"width": 0.5} if "width" in zoo.network_options(name) else {}
    return zoo.create(name, classes=10, **narrow)
