"""Masked == removed on networks of the zoo, of torchvision and of timm, with half of their channels taken at random."""

import pytest
from torch import nn

from pocketcnn.compression.coupling import couple, mask, remove
from pocketcnn.graph.capture.capture import capture
from pocketcnn.models import create, list_models
from pocketcnn.models.registry import CATALOG
from pocketcnn.vision import require_torchvision
from tests.support.removal import images_for, largest_difference, outputs, randomise, removal_error, some_classes

CLOSE = 1e-5

TORCHVISION = ("shufflenet_v2_x0_5", "resnet18", "regnet_y_400mf")
TORCHVISION_SLOW = (
    "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "mnasnet0_5", "densenet121", "googlenet", "inception_v3",
    "alexnet", "efficientnet_b0", "regnet_x_400mf",
)  # fmt: skip
TIMM = ("ghostnet_100", "lcnet_050", "resnest14d")
TIMM_SLOW = (
    "mixnet_s", "rexnet_100", "mobilenetv4_conv_small", "mobilenetv1_100", "res2net50_14w_8s", "nasnetalarge",
    "resnext50_32x4d", "hrnet_w18_small", "dpn68", "dla34", "selecsls42", "repvgg_a0", "fbnetc_100", "cspresnet50",
    "xception41", "mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_lite0", "tf_efficientnet_lite0",
    "densenet121", "vgg11_bn", "resnet18", "tinynet_e", "regnety_002", "semnasnet_075", "spnasnet_100", "mnasnet_small",
    "hardcorenas_a", "efficientnet_es", "gernet_s", "seresnext26d_32x4d", "inception_v4",
    "inception_resnet_v2", "ese_vovnet19b_dw", "rexnetr_200",
)  # fmt: skip
ZOO = {names[0] for file, names in CATALOG.items() if file not in ("vgg", "condensenet")}
"""One network of each paper in the normal suite; the others, and the 130 million weights of VGG, are slow."""


def check(network: nn.Module, size: int = 64) -> None:
    graph = capture(randomise(network), (1, 3, size, size))
    coupling = couple(graph)
    classes = some_classes(coupling, seed=1, share=0.5)
    assert removal_error(graph, classes, coupling) < CLOSE
    whole, part = sum(map(graph.madds, graph.nodes)), remove(graph, classes, coupling)
    assert sum(map(part.madds, part.nodes)) < 0.6 * whole
    images = images_for(graph)
    assert largest_difference(outputs(graph, images), outputs(mask(graph, classes, coupling), images)) > 1e-3


def slow(names: tuple[str, ...]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize(
    "name", [name if name in ZOO else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
)
def test_zoo(name: str) -> None:
    check(create(name, classes=10))


def test_a_shallow_condensenet() -> None:
    """The same layers as in those of the paper, which are slow: their 36 and more layers all read those before them."""
    check(create("condensenet_86", classes=10, depth=14))


@pytest.mark.parametrize("name", [*TORCHVISION, *slow(TORCHVISION_SLOW)])
def test_torchvision(name: str) -> None:
    auxiliary = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    size = 96 if name == "inception_v3" else 64
    check(getattr(require_torchvision("models"), name)(weights=None, num_classes=10, **auxiliary), size)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", [*TIMM, *slow(TIMM_SLOW)])
def test_timm(name: str) -> None:
    require_torchvision()
    timm = pytest.importorskip("timm")
    check(
        timm.create_model(name, pretrained=False, num_classes=10), 96 if "nasnet" in name or "inception" in name else 64
    )


def test_a_shuffle_stays_one_while_its_own_channels_stay() -> None:
    graph = capture(create("shufflenet_v2", classes=10), (1, 3, 64, 64))
    coupling = couple(graph)
    shuffled = {node.name for node in graph.nodes if node.op == "channel_shuffle"}
    outside = set(coupling.removable().tolist())
    for name in shuffled:
        outside -= set(coupling.values[name].classes.tolist())
    pruned = remove(graph, sorted(outside)[::2], coupling)
    assert {node.name for node in pruned.nodes if node.op == "channel_shuffle"} == shuffled
    assert not any(node.op == "gather" for node in pruned.nodes)
