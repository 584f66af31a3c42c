import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.vision import require_torchvision

tv = require_torchvision("models")
IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def narrow(build: Callable[..., nn.Module], **options: object) -> nn.Module:
    """An AlexNet or VGG with 16 instead of 4096 hidden units, not initialised."""
    with torch.device("meta"):
        network = build(**options)
        linear = [place for place, layer in enumerate(network.classifier) if isinstance(layer, nn.Linear)]
        for place, (inputs, outputs) in zip(linear, [(None, 16), (16, 16), (16, 10)], strict=True):
            network.classifier[place] = nn.Linear(inputs or network.classifier[place].in_features, outputs)
    return network.to_empty(device="cpu")


PEERS = {
    "alexnet": lambda: narrow(tv.alexnet),
    "vgg11": lambda: narrow(tv.vgg11, init_weights=False),
    "vgg13_bn": lambda: narrow(tv.vgg13_bn, init_weights=False, dropout=0.2),
    "v2": tv.mobilenet_v2,
    "v2 at 0.35, 7 classes": lambda: tv.mobilenet_v2(width_mult=0.35, num_classes=7),
    "v2 at 1.4": lambda: tv.mobilenet_v2(width_mult=1.4, num_classes=2, dropout=0.5),
    "v3 large": lambda: tv.mobilenet_v3_large(num_classes=10),
    "v3 large at 0.75": lambda: tv.mobilenet_v3_large(width_mult=0.75),
    "v3 large, reduced tail": lambda: tv.mobilenet_v3_large(reduced_tail=True, num_classes=3),
    "v3 small": tv.mobilenet_v3_small,
    "v3 small at 0.33": lambda: tv.mobilenet_v3_small(width_mult=0.33, num_classes=4),
    "mnasnet at 0.5": lambda: tv.mnasnet0_5(num_classes=10, dropout=0.1),
    "mnasnet at 1.3": lambda: tv.mnasnet1_3(num_classes=10),
    "resnet18": lambda: tv.resnet18(num_classes=10),
    "resnet50": lambda: tv.resnet50(num_classes=10),
    "squeezenet 1.0": lambda: tv.squeezenet1_0(num_classes=10),
    "squeezenet 1.1": lambda: tv.squeezenet1_1(num_classes=10, dropout=0.1),
    "shufflenet_v2 at 0.5": lambda: tv.shufflenet_v2_x0_5(num_classes=10),
    "shufflenet_v2": lambda: tv.shufflenet_v2_x1_0(num_classes=10),
    "shufflenet_v2 at 1.5": lambda: tv.shufflenet_v2_x1_5(num_classes=10),
    "shufflenet_v2 at 2": lambda: tv.shufflenet_v2_x2_0(num_classes=10),
}
DEEPER = {"vgg16": tv.vgg16, "vgg19_bn": tv.vgg19_bn, "resnet34": tv.resnet34, "resnet101": tv.resnet101}
BUILDERS = [pytest.param(build, id=name) for name, build in PEERS.items()]
BUILDERS += [pytest.param(build, id=name, marks=pytest.mark.slow) for name, build in DEEPER.items()]
NAMESAKES = [
    ("mobilenet_v2", {}, "mobilenet_v2"),
    ("mobilenet_v3_large", {}, "mobilenet_v3_large"),
    ("mobilenet_v3_small", {}, "mobilenet_v3_small"),
    ("mnasnet_b1", {"width": 0.5}, "mnasnet0_5"),
    ("mnasnet_b1", {"width": 0.75}, "mnasnet0_75"),
    ("mnasnet_b1", {}, "mnasnet1_0"),
    ("mnasnet_b1", {"width": 1.3}, "mnasnet1_3"),
    ("resnet18", {}, "resnet18"),
    ("resnet50", {}, "resnet50"),
    ("squeezenet1_0", {}, "squeezenet1_0"),
    ("squeezenet1_1", {}, "squeezenet1_1"),
    ("shufflenet_v2", {"width": 0.5}, "shufflenet_v2_x0_5"),
    ("shufflenet_v2", {"width": 2.0}, "shufflenet_v2_x2_0"),
]


@pytest.mark.parametrize("build", BUILDERS)
@torch.no_grad()
def test_outputs_agree_and_the_weights_go_back_unchanged(build, randomised):
    peer = randomised(build())
    network = zoo.from_torchvision(peer)
    torch.testing.assert_close(network(IMAGES), peer(IMAGES), atol=1e-4, rtol=0)
    back = zoo.to_torchvision(network, peer)
    assert list(back) == list(peer.state_dict())
    assert all(torch.equal(value, back[key]) for key, value in peer.state_dict().items())


@pytest.mark.parametrize(("name", "options", "namesake"), NAMESAKES)
@torch.no_grad()
def test_a_network_of_the_zoo_goes_to_its_namesake(name, options, namesake, randomised):
    network = randomised(zoo.create(name, classes=6, **options))
    state = zoo.to_torchvision(network, namesake)
    peer = tv.get_model(namesake, num_classes=6).eval()
    peer.load_state_dict(state)  # torchvision's V2 has another eps: the variance makes up for it
    torch.testing.assert_close(peer(IMAGES), network(IMAGES), atol=1e-4, rtol=0)


@torch.no_grad()
def test_input_channels_stem_stride_and_batch_norm_constants_are_read_off(randomised):
    peer = tv.mobilenet_v2(num_classes=5, norm_layer=lambda n: nn.BatchNorm2d(n, eps=0.01, momentum=0.2))
    peer.features[0][0] = nn.Conv2d(1, 32, 3, stride=1, padding=1, bias=False)
    network = zoo.from_torchvision(randomised(peer))
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(part.eps, part.momentum) for part in norms} == {(0.01, 0.2)}
    grey = IMAGES[:, :1]
    assert network.features(grey).shape[2:] == (4, 6)
    torch.testing.assert_close(network(grey), peer(grey), atol=1e-4, rtol=0)


def test_mode_and_precision_are_kept_and_the_original_is_untouched():
    peer = tv.mobilenet_v3_small(num_classes=2).to(torch.float64).train()
    before = copy.deepcopy(peer.state_dict())
    network = zoo.from_torchvision(peer)
    assert network.training
    assert next(network.parameters()).dtype == torch.float64
    assert peer.training
    assert all(torch.equal(value, before[key]) for key, value in peer.state_dict().items())
    assert [part.p for part in network.modules() if isinstance(part, nn.Dropout)] == [0.2]


def test_other_networks_are_refused():
    with pytest.raises(UsageError, match=r"takes torchvision's AlexNet, VGG, .*, not RegNet"):
        zoo.from_torchvision(tv.regnet_y_400mf())
    with pytest.raises(UsageError, match="dilated"):
        zoo.from_torchvision(tv.mobilenet_v3_large(dilated=True))


def test_resnets_with_other_units_are_refused():
    with pytest.raises(UsageError, match="networks differ"):
        zoo.from_torchvision(tv.resnext50_32x4d(num_classes=2))
    with pytest.raises(UsageError, match="networks differ"):
        zoo.to_torchvision(zoo.create("resnet50", version="v1"), "resnet50")


def test_a_changed_classifier_is_named():
    peer = tv.mobilenet_v2()
    peer.classifier = nn.Identity()
    with pytest.raises(UsageError, match="changed to Identity; expected is Dropout, Linear"):
        zoo.from_torchvision(peer)


def test_a_changed_layer_is_named():
    peer = tv.mobilenet_v2()
    peer.features[5].conv[1][0].padding = (0, 0)
    with pytest.raises(UsageError, match=r"features\.5\.conv\.1\.0.*features\.block5\.depthwise\.conv"):
        zoo.from_torchvision(peer)


def test_a_change_between_the_layers_does_not_get_through(randomised):
    class Doubled(tv.MobileNetV2):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 1

    with pytest.raises(PocketcnnError, match="computes other outputs than the original"):
        zoo.from_torchvision(randomised(Doubled()))


def test_the_way_back_needs_the_same_network():
    network = zoo.create("mobilenet_v2", width=0.5)
    with pytest.raises(UsageError, match=r"'features\.stem\.conv' is Conv2d\(3, 16.*'features\.0\.0' is Conv2d\(3, 32"):
        zoo.to_torchvision(network, "mobilenet_v2")
    with pytest.raises(UsageError, match="no classification network 'mobilenetv2'"):
        zoo.to_torchvision(network, "mobilenetv2")
    with pytest.raises(UsageError, match="layers with weights"):
        zoo.to_torchvision(nn.Sequential(*network.features[:1]), tv.mobilenet_v2(width_mult=0.5))


def test_weights_without_a_counterpart_are_named():
    network = zoo.create("mobilenet_v2", width=0.1, classes=2)
    peer = copy.deepcopy(network)
    peer.temperature = nn.Parameter(torch.ones(1))
    with pytest.raises(UsageError, match="'temperature'"):
        zoo.to_torchvision(network, peer)
