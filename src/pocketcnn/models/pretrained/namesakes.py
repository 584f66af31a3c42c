"""The published weights that a network of the zoo has, by the name of the same network in timm or torchvision."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pocketcnn.errors import UsageError
from pocketcnn.models.convert.with_timm import from_timm
from pocketcnn.models.convert.with_torchvision import from_torchvision
from pocketcnn.models.registry import registration

from .embedded import SIDES, embedded
from .from_timm_weights import timm_weights
from .from_torchvision_weights import torchvision_weights
from .source import parse_source
from .weights import TrainedModule

_SAME_NAME = (
    *("alexnet", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "squeezenet1_0", "squeezenet1_1"),
    *("resnet18", "resnet34", "resnet50", "resnet101"),
    *("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
)
NAMESAKES: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"torchvision:{name}" for name in _SAME_NAME},
        "mnasnet_b1": "torchvision:mnasnet1_0",
        "shufflenet_v2": "torchvision:shufflenet_v2_x1_0",
        "efficientnet_lite3": "timm:tf_efficientnet_lite3.in1k",
        "efficientnet_lite4": "timm:tf_efficientnet_lite4.in1k",
        "mnasnet_a1": "timm:semnasnet_100.rmsp_in1k",
        "mnasnet_small": "timm:mnasnet_small.lamb_in1k",
        "mobilenet_v1": "timm:mobilenetv1_100.ra4_e3600_r224_in1k",
        "mobilenet_v3_large_minimalistic": "timm:tf_mobilenetv3_large_minimal_100.in1k",
        "mobilenet_v3_small_minimalistic": "timm:tf_mobilenetv3_small_minimal_100.in1k",
        "mobilenet_v4_conv_small": "timm:mobilenetv4_conv_small.e2400_r224_in1k",
        "mobilenet_v4_conv_medium": "timm:mobilenetv4_conv_medium.e500_r256_in1k",
        "nasnet_large": "timm:nasnetalarge.tf_in1k",
    }
)
"""Network of the zoo -> the source whose weights are converted."""


def zoo_weights(name: str) -> TrainedModule:
    """The network of the zoo with weights trained on ImageNet: of its package, or converted and proven equal.

    Raises:
        UsageError: an unknown name, or a network that nobody published weights of.
        MissingExtra, NoWeights: the package or the library is not installed, or there is no way to the weights.
    """
    registration(name)
    if name in SIDES:
        return embedded(name)
    if name not in NAMESAKES:
        known = ", ".join(sorted({*SIDES, *NAMESAKES}))
        raise UsageError(f"No weights are known for {name}. There are some for {known}.")
    source = parse_source(NAMESAKES[name])
    if source.library == "timm":
        found = timm_weights(source)
        return replace(found, module=from_timm(found.module))
    found = torchvision_weights(source)
    return replace(found, module=from_torchvision(found.module))
