"""How each network of torchvision is read as one of the zoo: every width and stride off the module itself.

torchvision's width multiplier for MobileNetV3 is not the paper's: it scales the head, and rounds each expansion by
itself. Here that does not matter.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.models.alexnet import AlexNet
from pocketcnn.models.bottleneck_plan import Bottleneck, BottleneckPlan
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.models.mnasnet import MnasNet
from pocketcnn.models.mobilenet_v2 import MobileNetV2
from pocketcnn.models.mobilenet_v3 import MobileNetV3
from pocketcnn.models.resnet import ResNet
from pocketcnn.models.shufflenet_v2 import Plan as ShuffleNetV2Plan
from pocketcnn.models.shufflenet_v2 import ShuffleNetV2, Stage
from pocketcnn.models.squeezenet import SQUEEZENET_1_0, SQUEEZENET_1_1, SqueezeNet
from pocketcnn.models.vgg import VGG
from pocketcnn.vision import require_torchvision

from .reading import activation_of, bottleneck_of, convolution_of, convolutions_of, linear_of, resnet_of, vgg_of


def _mobilenet_v2(module: Any) -> MobileNetV2:
    dropout, linear = _classifier(module, nn.Dropout, nn.Linear)
    return MobileNetV2(
        _plan(module.features),
        classes=linear.out_features,
        in_channels=convolution_of(module.features[0]).in_channels,
        dropout=dropout.p,
    )


def _mobilenet_v3(module: Any) -> MobileNetV3:
    head, _, dropout, linear = _classifier(module, nn.Linear, nn.Hardswish, nn.Dropout, nn.Linear)
    return MobileNetV3(
        _plan(module.features),
        head.out_features,
        classes=linear.out_features,
        in_channels=convolution_of(module.features[0]).in_channels,
        dropout=dropout.p,
    )


def _classifier(module: Any, *kinds: type[nn.Module]) -> list[Any]:
    layers = list(module.classifier.children()) or [module.classifier]
    if [type(layer) for layer in layers] != list(kinds):
        raise UsageError(
            f"The classifier of this {type(module).__name__} was changed to {_names(map(type, layers))}; "
            f"expected is {_names(kinds)}."
        )
    return layers


def _names(kinds: Iterable[type[nn.Module]]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)


def _plan(features: nn.Sequential) -> BottleneckPlan:
    squeeze_excite = require_torchvision("ops.misc").SqueezeExcitation
    stem, *blocks, last = features
    stem_conv, last_conv = convolution_of(stem), convolution_of(last)
    return BottleneckPlan(
        stem=stem_conv.out_channels,
        blocks=tuple(
            bottleneck_of(block, squeeze_excite=squeeze_excite, residual=getattr(block, "use_res_connect", False))
            for block in blocks
        ),
        last=last_conv.out_channels,
        activation=activation_of([*stem.modules(), *last.modules()]),
        stem_stride=stem_conv.stride[0],
    )


def _shufflenet_v2(module: Any) -> ShuffleNetV2:
    stages = (module.stage2, module.stage3, module.stage4)
    plan = ShuffleNetV2Plan(
        stages=tuple(Stage(2 * convolutions_of(stage)[-1].out_channels, len(stage)) for stage in stages),
        last=convolution_of(module.conv5).out_channels,
        stem=convolution_of(module.conv1).out_channels,
    )
    classes = linear_of(module.fc).out_features
    return ShuffleNetV2(plan, classes=classes, in_channels=convolution_of(module.conv1).in_channels)


def _squeezenet(module: Any) -> SqueezeNet:
    dropout, last, _, _ = _classifier(module, nn.Dropout, nn.Conv2d, nn.ReLU, nn.AdaptiveAvgPool2d)
    stem = convolutions_of(module)[0]
    variant = SQUEEZENET_1_0 if stem.out_channels == SQUEEZENET_1_0.stem else SQUEEZENET_1_1
    return SqueezeNet(variant, classes=last.out_channels, in_channels=stem.in_channels, dropout=dropout.p)


def _mnasnet(module: Any) -> MnasNet:
    """A flat list: stem, first depthwise and pointwise convolution, stacks of inverted residuals, last convolution."""
    dropout, linear = _classifier(module, nn.Dropout, nn.Linear)
    stem, depthwise, pointwise, *_, last = [part for part in module.layers if isinstance(part, nn.Conv2d)]
    first = Bottleneck(
        expanded=depthwise.out_channels,
        out=pointwise.out_channels,
        kernel=depthwise.kernel_size[0],
        activation="relu",
        residual=False,
    )
    stacks: list[Any] = [part for part in module.layers if isinstance(part, nn.Sequential)]
    blocks = [
        bottleneck_of(block, squeeze_excite=None, residual=block.apply_residual) for stack in stacks for block in stack
    ]
    plan = BottleneckPlan(stem.out_channels, (first, *blocks), last.out_channels, activation="relu")
    return MnasNet(plan, classes=linear.out_features, in_channels=stem.in_channels, dropout=dropout.p)


def _alexnet(module: Any) -> AlexNet:
    kinds = (nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Linear)
    dropout, first, *_, last = _classifier(module, *kinds)
    return AlexNet(
        1,
        classes=last.out_features,
        in_channels=convolutions_of(module)[0].in_channels,
        dropout=dropout.p,
        head_width=first.out_features,
    )


def _vgg(module: Any) -> VGG:
    kinds = (nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear)
    head = _classifier(module, *kinds)
    return vgg_of(module.features, head, dropout=head[2].p)


def _resnet(module: Any) -> ResNet:
    bottleneck = isinstance(module.layer1[0], require_torchvision("models.resnet").Bottleneck)
    return resnet_of(module, bottleneck=bottleneck, dropout=0.0)


READERS: Mapping[str, Callable[[nn.Module], ImageClassifier]] = MappingProxyType(
    {  # class in torchvision.models -> reader
        "AlexNet": _alexnet,
        "VGG": _vgg,
        "MobileNetV2": _mobilenet_v2,
        "MobileNetV3": _mobilenet_v3,
        "MNASNet": _mnasnet,
        "ResNet": _resnet,
        "ShuffleNetV2": _shufflenet_v2,
        "SqueezeNet": _squeezenet,
    }
)
