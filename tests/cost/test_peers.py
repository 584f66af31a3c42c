"""Our counts against fvcore, ptflops and thop: equal to the last multiply-add, once what each counts besides is added.

What they count besides is in `peers.PEERS`, what concerns one network alone in `REMAINS`; nothing else may differ.
"""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from torch import nn

import pocketcnn as pc
from pocketcnn.cost import count
from pocketcnn.vision import require_torchvision
from tests.support.cost_peers import PEERS, parameters_by_fvcore

QUICK = (
    *("mobilenet_v3_small", "shufflenet_v2", "squeezenet1_1", "condensenet_74", "resnet18", "mnasnet_a1", "alexnet"),
    *("torchvision:mobilenet_v2", "timm:mobilenetv4_conv_small", "timm:mixnet_s"),
)
TORCHVISION = (
    *("alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "squeezenet1_1"),
    *(
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "shufflenet_v2_x0_5",
        "shufflenet_v2_x1_0",
        "mnasnet0_5",
        "mnasnet1_3",
    ),
    *(
        "efficientnet_b0",
        "efficientnet_v2_s",
        "regnet_y_400mf",
        "regnet_x_800mf",
        "densenet121",
        "inception_v3",
        "googlenet",
    ),
)
TIMM = (
    *("mobilenetv3_small_100", "mobilenetv1_100", "tf_efficientnet_lite0", "tf_mobilenetv3_large_100", "ghostnet_100"),
    *("lcnet_100", "tf_mixnet_s", "fbnetc_100", "regnety_002", "densenet121", "res2net50_26w_4s", "repvgg_a0", "dpn68"),
    *(
        "hrnet_w18_small",
        "inception_v4",
        "rexnet_100",
        "legacy_xception",
        "resnest14d",
        "dla34",
        "selecsls42",
        "starnet_s1",
    ),
    *(
        "cspresnet50",
        "pnasnet5large",
        "seresnet18",
        "resnetv2_50",
        "gernet_s",
        "tinynet_e",
        "semnasnet_100",
        "vovnet39a",
    ),
    *("mobileone_s0", "darknet53"),
)
ALL = (*pc.list_models(), *(f"torchvision:{name}" for name in TORCHVISION), *(f"timm:{name}" for name in TIMM))


class Remainder(NamedTuple):
    """What a peer counts for one network alone, and why."""

    madds: int
    reason: str


_POOLED = "it pools with a function, which the graph cannot tell from a mean; fvcore counts each element averaged"
REMAINS: Mapping[tuple[str, str], Remainder] = {
    ("fvcore", "torchvision:mobilenet_v2"): Remainder(1280 * 2 * 2, _POOLED),
    ("fvcore", "torchvision:densenet121"): Remainder(1024 * 2 * 2, _POOLED),
}
UNUSED_PARAMETERS: Mapping[str, Remainder] = {
    "torchvision:googlenet": Remainder(6_379_984, "two auxiliary classifiers, which inference does not use"),
    "torchvision:inception_v3": Remainder(3_326_696, "an auxiliary classifier, which inference does not use"),
}


def module_of(name: str) -> nn.Module:
    library, _, network = name.rpartition(":")
    if library == "torchvision":
        drawn = {"init_weights": False} if network in ("googlenet", "inception_v3") else {}
        module: nn.Module = require_torchvision("models").get_model(network, weights=None, **drawn)
    elif library == "timm":
        require_torchvision()
        module = pytest.importorskip("timm").create_model(network)
    else:
        module = pc.create(network)
    return module.eval()


def check(name: str) -> None:
    module = module_of(name)
    image = (3, 320, 320) if "inception" in name else (3, 64, 64)
    graph = pc.capture(module, (1, *image))
    cost = count(graph)
    found = {peer: counter.count(module, image) for peer, counter in PEERS.items()}
    expected = {
        peer: counter.expected(graph, module, cost.madds) + REMAINS.get((peer, name), Remainder(0, "")).madds
        for peer, counter in PEERS.items()
    }
    assert found == expected
    assert parameters_by_fvcore(module) == cost.params + UNUSED_PARAMETERS.get(name, Remainder(0, "")).madds


@pytest.mark.parametrize("name", QUICK)
def test_peers_count_the_same(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in QUICK])
def test_peers_count_the_same_for_all_networks(name: str) -> None:
    check(name)


def test_every_difference_occurs_and_has_its_reason() -> None:
    """A difference that no network shows would be a rule that hides an error."""
    graphs = [(module, pc.capture(module, (1, 3, 32, 32))) for module in [Everything().eval()]]
    for peer in PEERS.values():
        for name, difference in peer.differences.items():
            assert difference.reason
            alone = type(peer)(peer.count, {name: difference})
            assert any(alone.expected(graph, module, 0) != 0 for module, graph in graphs), name
    module, graph = graphs[0]
    for peer in PEERS.values():
        assert peer.count(module, (3, 32, 32)) == peer.expected(graph, module, count(graph).madds)


class OwnConv(nn.Conv2d):
    """A class of its own, which thop does not know."""


class Everything(nn.Sequential):
    """Each thing that a peer counts differently, once."""

    def __init__(self) -> None:
        super().__init__(
            *(
                nn.Conv2d(3, 4, 3),
                nn.BatchNorm2d(4),
                OwnConv(4, 6, 1),
                nn.BatchNorm2d(6, affine=False),
                nn.AvgPool2d(2),
            ),
            *(nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)),
        )
