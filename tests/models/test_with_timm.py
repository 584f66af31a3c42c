import sys

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.models.efficientnet_lite import EfficientNetLite
from pocketcnn.models.mnasnet import MnasNet
from pocketcnn.models.mobilenet_v1 import MobileNetV1
from pocketcnn.models.mobilenet_v2 import MobileNetV2
from pocketcnn.models.mobilenet_v3 import MobileNetV3
from pocketcnn.models.mobilenet_v4 import MobileNetV4
from pocketcnn.models.nasnet import NASNet
from pocketcnn.models.resnet import ResNet
from pocketcnn.models.vgg import VGG
from pocketcnn.vision import require_torchvision

require_torchvision()  # before timm, which imports it
timm = pytest.importorskip("timm")
IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))

PEERS = {
    "mobilenetv1_100": MobileNetV1,
    "mobilenetv1_125": MobileNetV1,
    "mobilenetv2_035": MobileNetV2,
    "mobilenetv2_050": MobileNetV2,
    "mobilenetv2_075": MobileNetV2,
    "mobilenetv2_100": MobileNetV2,
    "mobilenetv2_140": MobileNetV2,
    "mobilenetv2_110d": MobileNetV2,  # also deeper
    "mobilenetv2_120d": MobileNetV2,
    "mobilenetv3_large_075": MobileNetV3,
    "mobilenetv3_large_100": MobileNetV3,
    "mobilenetv3_small_050": MobileNetV3,  # its stem is wider than the paper's
    "mobilenetv3_small_075": MobileNetV3,
    "mobilenetv3_small_100": MobileNetV3,
    "tf_mobilenetv3_small_075": MobileNetV3,  # TensorFlow's padding
    "tf_mobilenetv3_large_minimal_100": MobileNetV3,
    "mnasnet_050": MnasNet,
    "mnasnet_140": MnasNet,
    "mnasnet_small": MnasNet,
    "semnasnet_075": MnasNet,
    "semnasnet_100": MnasNet,
    "efficientnet_lite0": EfficientNetLite,
    "efficientnet_lite1": EfficientNetLite,
    "mobilenetv4_conv_small": MobileNetV4,
    "mobilenetv4_conv_small_035": MobileNetV4,
    "mobilenetv4_conv_medium": MobileNetV4,
    "vgg11": VGG,
    "vgg11_bn": VGG,
    "resnet18": ResNet,
    "resnet50": ResNet,
    "tf_efficientnet_lite0": EfficientNetLite,
    "tf_efficientnet_lite2": EfficientNetLite,
}
NAMESAKES = {  # timm's name -> the network of the zoo
    "mobilenetv1_100": ("mobilenet_v1", {}),
    "mobilenetv2_035": ("mobilenet_v2", {"width": 0.35}),
    "mobilenetv2_140": ("mobilenet_v2", {"width": 1.4}),
    "mobilenetv3_large_075": ("mobilenet_v3_large", {"width": 0.75}),
    "mobilenetv3_large_100": ("mobilenet_v3_large", {}),
    "mobilenetv3_small_075": ("mobilenet_v3_small", {"width": 0.75}),
    "mobilenetv3_small_100": ("mobilenet_v3_small", {}),
    "mobilenetv4_conv_small": ("mobilenet_v4_conv_small", {}),
    "mobilenetv4_conv_small_035": ("mobilenet_v4_conv_small", {"width": 0.35}),
    "mobilenetv4_conv_small_050": ("mobilenet_v4_conv_small", {"width": 0.5}),
    "mobilenetv4_conv_medium": ("mobilenet_v4_conv_medium", {}),
    "resnet34": ("resnet34", {}),
    "mnasnet_050": ("mnasnet_b1", {"width": 0.5}),
    "mnasnet_075": ("mnasnet_b1", {"width": 0.75}),
    "mnasnet_100": ("mnasnet_b1", {}),
    "mnasnet_140": ("mnasnet_b1", {"width": 1.4}),
    "mnasnet_small": ("mnasnet_small", {}),
    "semnasnet_050": ("mnasnet_a1", {"width": 0.5}),
    "semnasnet_075": ("mnasnet_a1", {"width": 0.75}),
    "semnasnet_100": ("mnasnet_a1", {}),
    "semnasnet_140": ("mnasnet_a1", {"width": 1.4}),
    **{f"efficientnet_lite{size}": (f"efficientnet_lite{size}", {}) for size in range(5)},
    **{f"tf_efficientnet_lite{size}": (f"efficientnet_lite{size}", {"padding": "same"}) for size in range(5)},
}
DEEPER = {f"{form}efficientnet_lite{size}" for form in ("", "tf_") for size in range(1, 5)} - {"efficientnet_lite4"}
SLOW = {name: [pytest.mark.slow] if name in DEEPER else [] for name in NAMESAKES}


@pytest.mark.parametrize(("name", "kind"), PEERS.items())
@torch.no_grad()
def test_outputs_agree_and_the_weights_go_back_unchanged(name, kind, randomised):
    with torch.device("meta" if kind is VGG else "cpu"):
        peer = timm.create_model(name, num_classes=10, drop_rate=0.1)
        if kind is VGG:  # with 16 instead of 4096 hidden units
            peer.pre_logits.fc1, peer.pre_logits.fc2 = nn.Conv2d(512, 16, 7), nn.Conv2d(16, 16, 1)
            peer.head.fc = nn.Linear(16, 10)
    peer = randomised(peer.to_empty(device="cpu") if kind is VGG else peer)
    network = zoo.from_timm(peer)
    assert type(network) is kind
    assert {part.p for part in network.modules() if isinstance(part, nn.Dropout)} == {0.1}
    torch.testing.assert_close(network(IMAGES), peer(IMAGES), atol=1e-4, rtol=0)
    back = zoo.to_timm(network, peer)
    assert list(back) == list(peer.state_dict())
    assert all(torch.equal(value, back[key]) for key, value in peer.state_dict().items())


@pytest.mark.parametrize(
    ("namesake", "network"), [pytest.param(*pair, id=pair[0], marks=SLOW[pair[0]]) for pair in NAMESAKES.items()]
)
@torch.no_grad()
def test_a_network_of_the_zoo_goes_to_its_namesake(namesake, network, randomised):
    name, options = network
    network = randomised(zoo.create(name, classes=6, in_channels=1, **options))
    peer = timm.create_model(namesake, num_classes=6, in_chans=1).eval()
    peer.load_state_dict(zoo.to_timm(network, namesake))  # timm has another eps: the variance makes up for it
    grey = IMAGES[:, :1]
    torch.testing.assert_close(peer(grey), network(grey), atol=1e-4, rtol=0)


@pytest.mark.parametrize("padding", ["same", ""])
@torch.no_grad()
def test_a_narrow_nasnet_agrees_and_the_weights_go_back_unchanged(padding, randomised):
    peer = timm.models.NASNetALarge(num_classes=10, stem_size=8, num_features=24 * 8, pad_type=padding, drop_rate=0.1)
    network = zoo.from_timm(randomised(peer))
    assert type(network) is NASNet
    for images in (IMAGES, torch.randn(2, 3, 65, 79)):
        torch.testing.assert_close(network(images), peer(images), atol=1e-4, rtol=0)
    back = zoo.to_timm(network, peer)
    assert list(back) == list(peer.state_dict())
    assert all(torch.equal(value, back[key]) for key, value in peer.state_dict().items())


@pytest.mark.slow
@torch.no_grad()
def test_nasnet_large_agrees_and_takes_the_weights_of_its_namesake(randomised):
    peer = randomised(timm.create_model("nasnetalarge", num_classes=6))
    torch.testing.assert_close(zoo.from_timm(peer)(IMAGES), peer(IMAGES), atol=1e-4, rtol=0)
    network = zoo.create("nasnet_large", classes=6, padding="same")
    peer.load_state_dict(zoo.to_timm(network, "nasnetalarge"))


def test_batch_norm_constants_are_read_off():
    peer = timm.create_model("mobilenetv3_small_050", bn_eps=0.02, bn_momentum=0.3, num_classes=2)
    network = zoo.from_timm(peer)
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(part.eps, part.momentum) for part in norms} == {(0.02, 0.3)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mobilenetv1_100h", "linear bottleneck"),
        ("mobilenetv3_rw", "a gate"),
        ("mobilenetv4_hybrid_medium", "not a block of MobileNetV4-Conv"),
        ("efficientnet_b0", "a gate"),
        ("lcnet_050", "linear bottleneck"),
        ("resnet18d", "networks differ"),
        ("seresnet18", "networks differ"),
        ("regnety_002", "not RegNet"),
    ],
)
def test_what_computes_something_else_is_refused_with_the_reason(name, reason):
    with pytest.raises(UsageError, match=reason):
        zoo.from_timm(timm.create_model(name, num_classes=2))


def test_a_network_without_classifier_is_refused():
    with pytest.raises(UsageError, match="end with a Linear layer, not with Identity"):
        zoo.from_timm(timm.create_model("mobilenetv2_035", num_classes=0))


def test_the_way_back_needs_the_same_network():
    network = zoo.create("mobilenet_v2", width=0.5)
    with pytest.raises(UsageError, match="networks differ"):
        zoo.to_timm(network, "mobilenetv2_035")
    with pytest.raises(UsageError, match="no network 'mobilenet_v2'"):
        zoo.to_timm(network, "mobilenet_v2")


def test_without_timm_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # makes its import fail
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[peers\]'"):
        zoo.to_timm(zoo.create("mobilenet_v1", width=0.1), "mobilenetv1_100")
