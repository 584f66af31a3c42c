"""AlexNet, in the two forms that go by this name.

groups=2: "ImageNet Classification with Deep Convolutional Neural Networks" (Krizhevsky et al., 2012), section 3.5, whose second,
fourth and fifth convolution are split over two GPUs; for 227 × 227 (the paper prints 224, but its 55 × 55 map needs 227).
groups=1: "One weird trick for parallelizing convolutional neural networks" (Krizhevsky, 2014), one tower, narrower in
front; this is torchvision's, for 224 × 224. Initial weights and biases are those of the first paper's section 5.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from torch import nn

from pocketcnn.layers import normal_weights

from .image_classifier import ImageClassifier
from .registry import register


@dataclass(frozen=True, slots=True)
class Row:
    """A convolution, and whether a 3 × 3 max pooling of stride 2 follows it."""

    out: int
    kernel: int
    padding: int
    stride: int = 1
    grouped: bool = False
    """In as many groups as the network has."""
    pooled: bool = False


ROWS: Mapping[int, tuple[Row, ...]] = MappingProxyType(
    {
        1: (
            Row(64, 11, 2, stride=4, pooled=True),  # 224 -> 55 -> 27
            Row(192, 5, 2, pooled=True),  # 27 -> 13
            Row(384, 3, 1),
            Row(256, 3, 1),
            Row(256, 3, 1, pooled=True),  # 13 -> 6
        ),
        2: (
            Row(96, 11, 0, stride=4, pooled=True),  # 227 -> 55 -> 27
            Row(256, 5, 2, grouped=True, pooled=True),  # 27 -> 13
            Row(384, 3, 1),
            Row(384, 3, 1, grouped=True),
            Row(256, 3, 1, grouped=True, pooled=True),  # 13 -> 6
        ),
    }
)
HEAD = 4096
MAP = 6
"""Side of the last map; the mean over regions makes it of any other."""


class AlexNet(ImageClassifier):
    """Five convolutions, a mean over 6 × 6 regions, three linear layers."""

    def __init__(
        self,
        groups: int,
        *,
        classes: int,
        in_channels: int,
        dropout: float,
        head_width: int = HEAD,
        local_response_norm: bool = False,
    ) -> None:
        rows = ROWS[groups]
        classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(rows[-1].out * MAP**2, head_width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(head_width, head_width),
            nn.ReLU(),
            nn.Linear(head_width, classes),
        )
        super().__init__(_features(rows, groups, in_channels, local_response_norm), classifier, pooled=MAP)
        normal_weights(self, std=0.01)
        for name in ("features.conv2", "features.conv4", "features.conv5", "classifier.1", "classifier.4"):
            nn.init.ones_(self.get_parameter(f"{name}.bias"))


def _features(rows: tuple[Row, ...], groups: int, channels: int, local_response_norm: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, row in enumerate(rows, start=1):
        split = groups if row.grouped else 1
        layers[f"conv{number}"] = nn.Conv2d(channels, row.out, row.kernel, row.stride, row.padding, groups=split)
        layers[f"act{number}"] = nn.ReLU()
        if local_response_norm and number <= 2:
            # section 3.3: n = 5, alpha = 1e-4, beta = 0.75, k = 2; torch divides alpha by n
            layers[f"norm{number}"] = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        if row.pooled:
            layers[f"pool{number}"] = nn.MaxPool2d(3, stride=2)
        channels = row.out
    return nn.Sequential(layers)


@register("alexnet", smallest_side=67)
def alexnet(
    *,
    groups: Literal[1, 2] = 1,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.5,
    head_width: int = HEAD,
    local_response_norm: bool = False,
) -> AlexNet:
    """AlexNet in its one-tower (groups=1) or two-group (groups=2) form.

    `local_response_norm` adds the normalisation of the 2012 paper after the first two convolutions. It has no weights, and
    later work found it of no use.
    `head_width` sets the width of the two hidden linear layers, 4096 in the papers.
    """
    return AlexNet(
        groups,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        head_width=head_width,
        local_response_norm=local_response_norm,
    )
