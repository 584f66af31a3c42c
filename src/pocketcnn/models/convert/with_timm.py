"""MobileNetV1, V2 and V3 of timm, of any width, classes and input channels, and back.

timm builds V1 and V2 from its class EfficientNet, V3 from MobileNetV3; which network it is shows in the blocks.
Networks with TensorFlow's padding (`tf_…`) are refused, as they compute something else on even sizes.
"""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.vision import require_torchvision

from ..bottleneck_plan import Bottleneck, BottleneckPlan
from ..image_classifier import ImageClassifier
from ..mobilenet_v1 import MobileNetV1, Separable
from ..mobilenet_v2 import MobileNetV2
from ..mobilenet_v3 import MobileNetV3
from .matching import adopt, translated_state, weighted_layers
from .reading import activation_of, bottleneck_of, convolution_of, convolutions_of, linear_of


def from_timm(module: nn.Module) -> ImageClassifier:
    """The same network from the zoo, with the weights, batch norm constants, mode, device and dtype of `module`.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: not a timm network that the zoo has, or one whose layers were changed.
        PocketcnnError: one that was changed between its layers: the outputs of both are compared.
    """
    models = _timm().models
    network: ImageClassifier
    if isinstance(module, models.EfficientNet):
        network = _mobilenet_v1(module) if isinstance(module.conv_head, nn.Identity) else _mobilenet_v2(module)
    elif isinstance(module, models.MobileNetV3):
        network = _mobilenet_v3(module)
    else:
        raise UsageError(
            f"from_timm takes timm's MobileNets (V1, V2 and V3), not {type(module).__name__}. "
            "`pocketcnn.capture` takes any network."
        )
    adopt(network, module)
    return network


def to_timm(network: nn.Module, like: str | nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of `network` for its timm counterpart, with equal outputs in eval.

    Args:
        network: one of the zoo, or a graph network captured from one.
        like: the counterpart, or its name in timm, such as ``"mobilenetv2_050"``.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: an unknown name, or the two networks differ in a layer.
    """
    return translated_state(network, like if isinstance(like, nn.Module) else _counterpart(like, network))


def _timm() -> ModuleType:
    require_torchvision()  # timm imports it, and that import may need help
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingExtra("Converting from and to timm", "peers") from error
    return timm


def _counterpart(name: str, network: nn.Module) -> nn.Module:
    timm = _timm()
    if not timm.is_model(name):
        raise UsageError(f"timm has no network '{name}'.")
    layers = [layer for _, layer in weighted_layers(network)]
    with torch.device("meta"):  # only its names and shapes are needed
        counterpart: nn.Module = timm.create_model(
            name, num_classes=layers[-1].weight.shape[0], in_chans=layers[0].weight.shape[1]
        )
    return counterpart


def _mobilenet_v1(module: Any) -> MobileNetV1:
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


def _mobilenet_v2(module: Any) -> MobileNetV2:
    rows = _rows(module.blocks)
    if any(row.kernel != 3 or row.squeeze is not None or row.activation != "relu6" for row in rows):
        raise UsageError("This network is not a MobileNetV2: its blocks are not plain 3x3 inverted residuals.")
    return MobileNetV2(
        _plan(module, rows, module.conv_head, module.bn2),
        classes=linear_of(module.classifier).out_features,
        in_channels=module.conv_stem.in_channels,
        dropout=module.drop_rate,
    )


def _mobilenet_v3(module: Any) -> MobileNetV3:
    *stages, last = module.blocks
    if not isinstance(module.norm_head, nn.Identity):
        raise UsageError("This network is not a MobileNetV3: there is a batch norm in its head.")
    return MobileNetV3(
        _plan(module, _rows(stages), convolution_of(last), last),
        module.conv_head.out_channels,
        classes=linear_of(module.classifier).out_features,
        in_channels=module.conv_stem.in_channels,
        dropout=module.drop_rate,
    )


def _rows(stages: Sequence[Sequence[Any]]) -> tuple[Bottleneck, ...]:
    squeeze_excite = _timm().models._efficientnet_blocks.SqueezeExcite
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
    )
