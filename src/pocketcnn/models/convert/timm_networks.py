"""How each network of timm is read as one of the zoo: every width and stride off the module itself.

timm builds MobileNetV1, V2, MnasNet and EfficientNet-Lite from its class EfficientNet; which network it is shows in the
blocks.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.models.bottleneck_plan import Bottleneck, BottleneckPlan
from pocketcnn.models.efficientnet_lite import EfficientNetLite
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.models.mnasnet import MnasNet
from pocketcnn.models.mobilenet_v1 import MobileNetV1, Separable
from pocketcnn.models.mobilenet_v2 import MobileNetV2
from pocketcnn.models.mobilenet_v3 import MobileNetV3
from pocketcnn.models.mobilenet_v4 import Conv, Fused, MobileNetV4, Universal
from pocketcnn.models.nasnet import LARGE as NASNET_LARGE
from pocketcnn.models.nasnet import NASNet
from pocketcnn.models.nasnet import Plan as NASNetPlan
from pocketcnn.models.nasnet_cells import Style as NASNetStyle
from pocketcnn.models.resnet import ResNet
from pocketcnn.models.vgg import VGG

from .reading import (
    activation_of,
    bottleneck_of,
    convolution_of,
    convolutions_of,
    linear_of,
    padding_of,
    refuse_same_padding,
    resnet_of,
    vgg_of,
)


def _efficientnet(module: Any) -> MobileNetV1 | MobileNetV2 | MnasNet | EfficientNetLite:
    if isinstance(module.conv_head, nn.Identity):
        return _mobilenet_v1(module)
    rows = _rows(module.blocks)
    kind: type[MobileNetV2 | MnasNet | EfficientNetLite]
    if all(row.activation == "relu" for row in rows):
        kind = MnasNet
    elif all(row.kernel == 3 for row in rows):
        kind = MobileNetV2
    else:
        kind = EfficientNetLite
    return kind(
        _plan(module, rows, module.conv_head, module.bn2),
        classes=linear_of(module.classifier).out_features,
        in_channels=module.conv_stem.in_channels,
        dropout=module.drop_rate,
    )


def _mobilenet_v1(module: Any) -> MobileNetV1:
    refuse_same_padding(module)
    blocks = [_separable(block) for stage in module.blocks for block in stage]
    return MobileNetV1(
        module.conv_stem.out_channels,
        blocks,
        classes=linear_of(module.classifier).out_features,
        in_channels=module.conv_stem.in_channels,
        dropout=module.drop_rate,
        stem_stride=module.conv_stem.stride[0],
    )


def _separable(block: nn.Module) -> Separable:
    convolutions = convolutions_of(block)
    if len(convolutions) != 2 or activation_of(block.modules()) != "relu6":
        raise UsageError(f"{type(block).__name__} is not a depthwise separable convolution of MobileNetV1.")
    depthwise, pointwise = convolutions
    return Separable(pointwise.out_channels, stride=depthwise.stride[0])


def _mobilenet_v3(module: Any) -> MobileNetV3 | MobileNetV4:
    if not isinstance(module.norm_head, nn.Identity):
        return _mobilenet_v4(module)
    *stages, last = module.blocks
    return MobileNetV3(
        _plan(module, _rows(stages), convolution_of(last), last),
        module.conv_head.out_channels,
        classes=linear_of(module.classifier).out_features,
        in_channels=module.conv_stem.in_channels,
        dropout=module.drop_rate,
    )


def _mobilenet_v4(module: Any) -> MobileNetV4:
    refuse_same_padding(module)
    return MobileNetV4(
        module.conv_stem.out_channels,
        [_v4_row(block) for stage in module.blocks for block in stage],
        module.conv_head.out_channels,
        classes=linear_of(module.classifier).out_features,
        in_channels=module.conv_stem.in_channels,
        dropout=module.drop_rate,
    )


def _v4_row(block: Any) -> Conv | Fused | Universal:
    kind = type(block).__name__
    first, last = convolutions_of(block)[0], convolutions_of(block)[-1]
    stride = max(conv.stride[0] for conv in convolutions_of(block))
    if kind not in ("ConvBnAct", "EdgeResidual", "UniversalInvertedResidual") or not _only_relu(block):
        raise UsageError(f"{kind} is not a block of MobileNetV4-Conv: its blocks are plain convolutions with ReLU.")
    if kind == "ConvBnAct":
        return Conv(first.kernel_size[0], last.out_channels, stride)
    expansion = last.in_channels / first.in_channels
    if kind == "EdgeResidual":
        return Fused(expansion, last.out_channels, stride)
    start, middle = (_kernel(part) for part in (block.dw_start, block.dw_mid))
    return Universal(start, middle, expansion, last.out_channels, stride)


def _kernel(depthwise: nn.Module) -> int:
    return 0 if isinstance(depthwise, nn.Identity) else convolution_of(depthwise).kernel_size[0]


def _only_relu(block: nn.Module) -> bool:
    return activation_of(block.modules()) == "relu"


def _rows(stages: Sequence[Sequence[Any]]) -> tuple[Bottleneck, ...]:
    squeeze_excite = importlib.import_module("timm.models._efficientnet_blocks").SqueezeExcite
    return tuple(
        bottleneck_of(block, squeeze_excite=squeeze_excite, residual=getattr(block, "has_skip", False))
        for stage in stages
        for block in stage
    )


def _plan(module: Any, rows: tuple[Bottleneck, ...], last: nn.Conv2d, last_norm_act: nn.Module) -> BottleneckPlan:
    return BottleneckPlan(
        stem=module.conv_stem.out_channels,
        blocks=rows,
        last=last.out_channels,
        activation=activation_of([*module.bn1.modules(), *last_norm_act.modules()]),
        stem_stride=module.conv_stem.stride[0],
        padding=padding_of(module),
    )


def _resnet(module: Any) -> ResNet:
    bottleneck = isinstance(module.layer1[0], importlib.import_module("timm.models.resnet").Bottleneck)
    return resnet_of(module, bottleneck=bottleneck, dropout=module.drop_rate)


def _vgg(module: Any) -> VGG:
    """timm's first linear layer is a convolution as large as the map."""
    return vgg_of(module.features, (module.pre_logits.fc1, module.head.fc), dropout=module.drop_rate)


def _nasnet(module: Any) -> NASNet:
    """timm has the large form, of any width."""
    plan = NASNetPlan(
        stem=module.stem_size,
        filters=module.cell_0.conv_1x1.conv.out_channels,
        cells=18,
        skips_reduction_input=True,
        auxiliary_map=NASNET_LARGE.auxiliary_map,
    )
    return NASNet(
        plan,
        classes=linear_of(module.last_linear).out_features,
        in_channels=module.conv0.conv.in_channels,
        dropout=module.head_drop.p,
        style=NASNetStyle(padding_of(module), count_padding=True),
    )


READERS: Mapping[str, Callable[[nn.Module], ImageClassifier]] = MappingProxyType(
    {  # class in timm.models -> reader
        "EfficientNet": _efficientnet,
        "MobileNetV3": _mobilenet_v3,
        "NASNetALarge": _nasnet,
        "ResNet": _resnet,
        "VGG": _vgg,
    }
)
