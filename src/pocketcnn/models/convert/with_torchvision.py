"""MobileNetV2 and V3 of torchvision, of any width, classes and input channels, and back.

torchvision's width multiplier for V3 is not the paper's: it scales the head, and rounds each expansion by itself. Here
that does not matter, since every width is read off the module.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.vision import require_torchvision

from ..bottleneck_plan import BottleneckPlan
from ..image_classifier import ImageClassifier
from ..mobilenet_v2 import MobileNetV2
from ..mobilenet_v3 import MobileNetV3
from .matching import adopt, translated_state, weighted_layers
from .reading import activation_of, bottleneck_of, convolution_of


def from_torchvision(module: nn.Module) -> ImageClassifier:
    """The same network from the zoo, with the weights, batch norm constants, mode, device and dtype of `module`.

    Raises:
        UsageError: not a torchvision network that the zoo has, or one whose layers were changed.
        PocketcnnError: one that was changed between its layers: the outputs of both are compared.
    """
    models = require_torchvision("models")
    for kind, read in READERS.items():
        if isinstance(module, getattr(models, kind)):
            network = read(module)
            adopt(network, module)
            return network
    raise UsageError(
        f"from_torchvision takes torchvision's {', '.join(READERS)}, not {type(module).__name__}. "
        "`pocketcnn.capture` takes any network."
    )


def to_torchvision(network: nn.Module, like: str | nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of `network` for its torchvision counterpart, with equal outputs in eval.

    Args:
        network: one of the zoo, or a graph network captured from one.
        like: the counterpart, or its name in torchvision (width 1, 3 input channels).

    Raises:
        UsageError: an unknown name, or the two networks differ in a layer.
    """
    return translated_state(network, like if isinstance(like, nn.Module) else _counterpart(like, network))


def _counterpart(name: str, network: nn.Module) -> nn.Module:
    models = require_torchvision("models")
    if name not in models.list_models(models):
        raise UsageError(f"torchvision has no classification network '{name}'.")
    classes = weighted_layers(network)[-1][1].weight.shape[0]
    with torch.device("meta"):  # only its names and shapes are needed
        counterpart: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return counterpart


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


READERS: Mapping[str, Callable[[nn.Module], ImageClassifier]] = MappingProxyType(
    {"MobileNetV2": _mobilenet_v2, "MobileNetV3": _mobilenet_v3}  # class in torchvision.models -> reader
)
