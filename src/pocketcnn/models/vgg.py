"""VGG: "Very Deep Convolutional Networks for Large-Scale Image Recognition" (Simonyan and Zisserman, 2015).

Table 1 of the paper, columns A, B, D and E: 11, 13, 16 and 19 layers. The forms with batch norm came later; their
convolutions keep their biases, as in torchvision and timm. Weights start by Glorot's rule, which the paper found to make its
pre-training from shallower networks needless (section 3.1); dropout as in section 3.1.
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from pocketcnn.layers import conv2d, glorot_uniform_weights

from .image_classifier import ImageClassifier
from .registry import register


@dataclass(frozen=True, slots=True)
class Stage:
    """3 × 3 convolutions of `out` channels, then a 2 × 2 max pooling."""

    out: int
    repeats: int


Stages = tuple[Stage, ...]
HEAD = 4096
MAP = 7
"""Side of the last map for 224 x 224; the mean over regions makes it of any other."""


def _stages(*repeats: int) -> Stages:
    widths = (64, 128, 256, 512, 512)  # 224 -> 112, -> 56, -> 28, -> 14, -> 7
    return tuple(Stage(*row) for row in zip(widths, repeats, strict=True))


A = _stages(1, 1, 2, 2, 2)
B = _stages(2, 2, 2, 2, 2)
D = _stages(2, 2, 3, 3, 3)
E = _stages(2, 2, 4, 4, 4)


class VGG(ImageClassifier):
    """Stages of convolutions, a mean over 7 × 7 regions, three linear layers."""

    def __init__(
        self,
        stages: Stages,
        *,
        batch_norm: bool,
        classes: int,
        in_channels: int,
        dropout: float,
        head_width: int = HEAD,
    ) -> None:
        classifier = nn.Sequential(
            nn.Linear(stages[-1].out * MAP**2, head_width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(head_width, head_width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(head_width, classes),
        )
        super().__init__(_features(stages, in_channels, batch_norm), classifier, pooled=MAP)
        glorot_uniform_weights(self)


def _features(stages: Stages, channels: int, batch_norm: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, stage in enumerate(stages, start=1):
        for repeat in range(1, stage.repeats + 1):
            layers[f"conv{number}_{repeat}"] = conv2d(channels, stage.out, 3, bias=True)
            if batch_norm:
                layers[f"norm{number}_{repeat}"] = nn.BatchNorm2d(stage.out)
            layers[f"act{number}_{repeat}"] = nn.ReLU()
            channels = stage.out
        layers[f"pool{number}"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


@register("vgg11")
def vgg11(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-11 (column A), for images of at least 32 pixels a side.

    `head_width` sets the width of the two hidden linear layers, 4096 in the paper: 9 of 10 weights, sized for 1000 classes.
    """
    return _build(A, False, classes, in_channels, dropout, head_width)


@register("vgg13")
def vgg13(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-13 (column B); options as in VGG-11."""
    return _build(B, False, classes, in_channels, dropout, head_width)


@register("vgg16")
def vgg16(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-16 (column D); options as in VGG-11."""
    return _build(D, False, classes, in_channels, dropout, head_width)


@register("vgg19")
def vgg19(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-19 (column E); options as in VGG-11."""
    return _build(E, False, classes, in_channels, dropout, head_width)


@register("vgg11_bn")
def vgg11_bn(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-11 (column A) with batch norm; options as in VGG-11."""
    return _build(A, True, classes, in_channels, dropout, head_width)


@register("vgg13_bn")
def vgg13_bn(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-13 (column B) with batch norm; options as in VGG-11."""
    return _build(B, True, classes, in_channels, dropout, head_width)


@register("vgg16_bn")
def vgg16_bn(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-16 (column D) with batch norm; options as in VGG-11."""
    return _build(D, True, classes, in_channels, dropout, head_width)


@register("vgg19_bn")
def vgg19_bn(*, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, head_width: int = HEAD) -> VGG:
    """VGG-19 (column E) with batch norm; options as in VGG-11."""
    return _build(E, True, classes, in_channels, dropout, head_width)


def _build(stages: Stages, batch_norm: bool, classes: int, in_channels: int, dropout: float, head_width: int) -> VGG:
    return VGG(
        stages,
        batch_norm=batch_norm,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        head_width=head_width,
    )
