"""CondenseNet: "CondenseNet: An Efficient DenseNet using Learned Group Convolutions" (Huang et al., 2018).

Table 1 of the paper and section 4 for CIFAR, in the widths of the authors' code (ShichenLiu/CondenseNet), from which the initial
weights come too. As in the paper, and other than in that code, the classifier loses half of its inputs in the middle of
the training and not at the end: so the network for inference computes what the trained one does.

    network = create("condensenet_74", learn_groups=True)
    train(network, train_set, val_set)  # condenses when it is time, with the group lasso in the loss
    network = network.condensed()
"""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.layers import (
    DenseLayer,
    LearnedGroupLayer,
    LearnedGroupLinear,
    Reparameterizable,
    SelectChannels,
    condensed_layer,
    condensed_linear,
    every_nth,
    he_normal_weights,
)

from .image_classifier import ImageClassifier
from .registry import register


@dataclass(frozen=True, slots=True)
class Block:
    """`repeats` dense layers that add `growth` channels each; 2 × 2 average pooling between blocks."""

    repeats: int
    growth: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Stem of twice the first growth, then dense blocks; nothing is ever dropped, so all layers see all earlier ones."""

    blocks: tuple[Block, ...]
    groups: int
    """Of both convolutions of a layer, and how many times the first one is condensed."""
    stem_stride: int = 1


def imagenet_plan(groups: int) -> Plan:
    """CondenseNet-74 (Table 1)."""
    blocks = (
        Block(4, 8),  # 112
        Block(6, 16),  # 112 -> 56
        Block(8, 32),  # 56 -> 28
        Block(10, 64),  # 28 -> 14
        Block(8, 128),  # 14 -> 7
    )
    return Plan(blocks, groups, stem_stride=2)  # 224 -> 112


def cifar_plan(depth: int, growth: int) -> Plan:
    """CondenseNet of 6 d + 2 layers, with the growth doubled from block to block.

    Raises:
        UsageError: `depth` is not of that form.
    """
    repeats, rest = divmod(depth - 2, 6)
    if rest or repeats < 1:
        raise UsageError(f"The depth of a CondenseNet for CIFAR is 6 d + 2, such as 50, 74 or 86, not {depth}.")
    return Plan(tuple(Block(repeats, growth * widening) for widening in (1, 2, 4)), groups=4)  # 32, 16, 8


class CondenseNet(ImageClassifier, Reparameterizable):
    """Stem, dense blocks with average pooling between them, norm, ReLU, mean over the map, one linear layer.

    With `learn_groups` in the form for training, else in that for inference, which can be trained too but learns no groups.
    """

    def __init__(
        self, plan: Plan, *, classes: int, in_channels: int, dropout: float = 0.0, learn_groups: bool = False
    ) -> None:
        features, channels = _features(plan, in_channels, learn_groups)
        head: list[nn.Module]
        if learn_groups:
            head = [LearnedGroupLinear(channels, classes)]
        else:
            head = [SelectChannels(every_nth(channels, 1, 2)), nn.Linear(channels // 2, classes)]
        super().__init__(features, nn.Sequential(nn.Dropout(dropout), *head))
        he_normal_weights(self)

    def condensed(self) -> "CondenseNet":
        """A new network for inference that computes the same.

        Raises:
            UsageError: a layer has condensing stages ahead (see `pocketcnn.layers.set_progress`).
        """
        network = copy.deepcopy(self)
        for layer in network.modules():
            if isinstance(layer, DenseLayer) and isinstance(layer.bottleneck, LearnedGroupLayer):
                layer.bottleneck = condensed_layer(layer.bottleneck)
        dropout, last = network.classifier[0], network.classifier[-1]
        if isinstance(last, LearnedGroupLinear):
            network.classifier = nn.Sequential(dropout, *condensed_linear(last))
        return network

    def reparameterize(self) -> "CondenseNet":
        return self.condensed()

    def reset_classifier(self, classes: int) -> None:
        """Replace the last linear layer by a fresh one for `classes` classes; everything else keeps its weights."""
        last = self.classifier[-1]
        super().reset_classifier(classes)
        if isinstance(last, LearnedGroupLinear):
            fresh = LearnedGroupLinear(last.in_features, classes).to(last.weight.device, last.weight.dtype)
            fresh.load_state_dict(self.classifier[-1].state_dict(), strict=False)
            self.classifier[-1] = fresh.train(last.training)


def _features(plan: Plan, in_channels: int, learn_groups: bool) -> tuple[nn.Sequential, int]:
    """The layers before the mean over the map, and the channels that they make."""
    channels = 2 * plan.blocks[0].growth
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["stem"] = nn.Conv2d(in_channels, channels, 3, plan.stem_stride, padding=1, bias=False)
    for number, block in enumerate(plan.blocks, start=1):
        if number > 1:
            layers[f"pool{number - 1}"] = nn.AvgPool2d(2)
        dense = []
        for _ in range(block.repeats):
            dense.append(_dense_layer(channels, block.growth, plan.groups, learn_groups))
            channels += block.growth
        layers[f"block{number}"] = nn.Sequential(*dense)
    layers["norm"] = nn.BatchNorm2d(channels)
    layers["act"] = nn.ReLU()
    return nn.Sequential(layers), channels


def _dense_layer(channels: int, growth: int, groups: int, learn_groups: bool) -> DenseLayer:
    return DenseLayer(channels, growth, groups=groups, condense_factor=groups, learn_groups=learn_groups)


LEARNS: Mapping[str, object] = MappingProxyType({"learn_groups": True})


def _build(
    plan: Plan,
    *,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    learn_groups: bool = False,
) -> CondenseNet:
    """One variant.

    `learn_groups` gives the form that learns its groups in training; the default is the network for inference, as it is
    after `condensed()`, with arbitrary groups.
    """
    return CondenseNet(plan, classes=classes, in_channels=in_channels, dropout=dropout, learn_groups=learn_groups)


@register("condensenet_74", training=LEARNS, smallest_side=32)
def condensenet_74(
    *,
    groups: Literal[4, 8] = 4,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    learn_groups: bool = False,
) -> CondenseNet:
    """CondenseNet-74 for ImageNet."""
    return _build(
        imagenet_plan(groups), classes=classes, in_channels=in_channels, dropout=dropout, learn_groups=learn_groups
    )


@register("condensenet_86", training=LEARNS, smallest_side=4)
def condensenet_86(
    *,
    depth: int = 86,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    learn_groups: bool = False,
) -> CondenseNet:
    """CondenseNet-86 for images of about 32 × 32; the paper has `depth` 50, 74, 86, 98, 110 and 122 with the same widths."""
    return _build(
        cifar_plan(depth, 8), classes=classes, in_channels=in_channels, dropout=dropout, learn_groups=learn_groups
    )


# for images of about 32 × 32, half as wide again as 86
register("condensenet_182", training=LEARNS, smallest_side=4)(partial(_build, cifar_plan(182, 12)))
