"""Reading the configuration of a network from the modules of another library: widths, kernels, strides, activations."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.layers import ACTIVATIONS, Padding
from pocketcnn.models.bottleneck_plan import Bottleneck
from pocketcnn.models.resnet import Plan as ResNetPlan
from pocketcnn.models.resnet import ResNet
from pocketcnn.models.resnet import Stage as ResNetStage
from pocketcnn.models.vgg import VGG
from pocketcnn.models.vgg import Stage as VGGStage

_NAMES = {kind: name for name, kind in ACTIVATIONS.items()}


def convolutions_of(module: nn.Module) -> list[nn.Conv2d]:
    """All convolutions of `module`, in order.

    Raises:
        UsageError: one is a subclass that computes something else, or is dilated.
    """
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    for conv in convolutions:
        if type(conv) is not nn.Conv2d and not _pads_same(conv):
            raise UsageError(f"{type(conv).__name__} is not supported: it is not an ordinary convolution.")
        if conv.dilation != (1, 1):
            raise UsageError("A dilated network is not supported. Use the variant without dilation.")
    return convolutions


def padding_of(module: nn.Module) -> Padding:
    """Whether the convolutions of `module` pad symmetrically or as TensorFlow's 'SAME'."""
    return "same" if any(map(_pads_same, convolutions_of(module))) else "symmetric"


def refuse_same_padding(module: nn.Module) -> None:
    """For networks that the zoo has with symmetric padding only.

    Raises:
        UsageError: `module` pads as TensorFlow does.
    """
    if padding_of(module) == "same":
        raise UsageError(
            "TensorFlow's 'SAME' padding puts the odd pixel at the bottom right; this network of pocketcnn pads all sides "
            "alike. Take the one without the prefix 'tf_'."
        )


def _pads_same(conv: nn.Module) -> bool:
    """timm's class for 'SAME' padding; it cannot be imported where timm is not installed."""
    return type(conv).__name__ == "Conv2dSame"


def convolution_of(module: nn.Module) -> nn.Conv2d:
    """The one convolution of `module`.

    Raises:
        UsageError: there is none, or several.
    """
    convolutions = convolutions_of(module)
    if len(convolutions) != 1:
        raise UsageError(f"One convolution was expected in {type(module).__name__}, found {len(convolutions)}.")
    return convolutions[0]


def linear_of(module: nn.Module) -> nn.Linear:
    """`module` itself, if it is a linear layer.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(module, nn.Linear):
        raise UsageError(f"The network must end with a Linear layer, not with {type(module).__name__}.")
    return module


def activation_of(parts: Iterable[nn.Module]) -> str:
    """The name of the one kind of activation among `parts`.

    Raises:
        UsageError: there is none, or there are several, or an unknown one.
    """
    names = sorted({_NAMES[type(part)] for part in parts if type(part) in _NAMES})
    if len(names) != 1:
        raise UsageError(f"One known activation was expected, found {' and '.join(names) or 'none'}.")
    return names[0]


def bottleneck_of(block: nn.Module, *, squeeze_excite: type[nn.Module] | None, residual: bool) -> Bottleneck:
    """An inverted residual, [expand,] depthwise, [squeeze-and-excite,] linear project, as a row of a plan.

    `squeeze_excite` is the class of the gates, None where there are none.

    Raises:
        UsageError: the block is built otherwise.
    """
    gates = [part for part in block.modules() if squeeze_excite and isinstance(part, squeeze_excite)]
    within_gates = {part for gate in gates for part in gate.modules()}
    convolutions = [conv for conv in convolutions_of(block) if conv not in within_gates]
    activations = [part for part in block.modules() if type(part) in _NAMES and part not in within_gates]
    if len(convolutions) not in (2, 3) or len(activations) != len(convolutions) - 1 or len(gates) > 1:
        raise UsageError(
            f"{type(block).__name__} is not an inverted residual with a linear bottleneck: it has "
            f"{len(convolutions)} convolutions and {len(activations)} activations."
        )
    depthwise, project = convolutions[-2:]
    same_shape = depthwise.stride == (1, 1) and convolutions[0].in_channels == project.out_channels
    row = Bottleneck(
        expanded=depthwise.out_channels,
        out=project.out_channels,
        kernel=depthwise.kernel_size[0],
        stride=depthwise.stride[0],
        activation=activation_of(activations),
        residual=residual or not same_shape,
    )
    return replace(row, squeeze=_hidden_width(gates[0]), gate=_gate(gates[0])) if gates else row


def _hidden_width(squeeze_excite: nn.Module) -> int:
    return convolutions_of(squeeze_excite)[0].out_channels


def _gate(squeeze_excite: nn.Module) -> str:
    kinds = [type(part) for part in squeeze_excite.modules() if type(part) in _NAMES]
    if len(kinds) != 2 or kinds[0] is not nn.ReLU:
        raise UsageError(f"{type(squeeze_excite).__name__} is expected to have ReLU, then a gate.")
    return _NAMES[kinds[1]]


def resnet_of(module: Any, *, bottleneck: bool, dropout: float) -> ResNet:
    """torchvision's and timm's ResNets, which have the same attributes.

    Raises:
        UsageError: the last layer was changed.
    """
    plan = ResNetPlan(
        stages=tuple(_resnet_stage(stage) for stage in (module.layer1, module.layer2, module.layer3, module.layer4)),
        bottleneck=bottleneck,
        stem=convolutions_of(module)[0].out_channels,
    )
    return ResNet(
        plan,
        classes=linear_of(module.fc).out_features,
        in_channels=convolutions_of(module)[0].in_channels,
        dropout=dropout,
    )


def _resnet_stage(stage: Sequence[nn.Module]) -> ResNetStage:
    """Both libraries put the stride on a 3 × 3 convolution."""
    spatial = [conv for conv in convolutions_of(stage[0]) if conv.kernel_size == (3, 3)]
    return ResNetStage(convolutions_of(stage[-1])[-1].out_channels, len(stage), max(conv.stride[0] for conv in spatial))


def vgg_of(features: nn.Module, head: Sequence[Any], *, dropout: float) -> VGG:
    """torchvision's and timm's VGGs: convolutions with max poolings between, and the first and the last layer after them.

    Raises:
        UsageError: the last layer was changed.
    """
    widths: list[list[int]] = [[]]
    for part in features.modules():
        if isinstance(part, nn.Conv2d):
            widths[-1].append(part.out_channels)
        elif isinstance(part, nn.MaxPool2d):
            widths.append([])
    return VGG(
        tuple(VGGStage(stage[-1], len(stage)) for stage in widths if stage),
        batch_norm=any(isinstance(part, nn.BatchNorm2d) for part in features.modules()),
        classes=linear_of(head[-1]).out_features,
        in_channels=convolutions_of(features)[0].in_channels,
        dropout=dropout,
        head_width=head[0].weight.shape[0],
    )
