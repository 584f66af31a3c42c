"""VGG: "Very Deep Convolutional Networks for Large-Scale Image Recognition" (Simonyan and Zisserman, 2015).

Table 1 of the paper, columns A, B, D and E: 11, 13, 16 and 19 layers. The forms with batch norm came later; their
convolutions keep their biases, as in torchvision and timm. Weights start by Glorot's rule, which the paper found to make its
pre-training from shallower networks needless (section 3.1); dropout as in section 3.1.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

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


def _build(
    stages: Stages,
    batch_norm: bool,
    *,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.5,
    head_width: int = HEAD,
) -> VGG:
    """One column of the table.

    `head_width` sets the width of the two hidden linear layers, 4096 in the paper: 9 of 10 weights, sized for 1000 classes.
    """
    return VGG(
        stages,
        batch_norm=batch_norm,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        head_width=head_width,
    )


COLUMNS: Mapping[str, Stages] = MappingProxyType({"vgg11": A, "vgg13": B, "vgg16": D, "vgg19": E})
SMALL_IMAGE_HEAD = 512
"""As in the forms for CIFAR-10: "Very deep convolutional neural network based image classification using small training sample
size" (Liu and Deng, 2015)."""

for _suffix, _batch_norm in (("", False), ("_bn", True)):
    for _name, _column in COLUMNS.items():
        register(f"{_name}{_suffix}", small_image_head=SMALL_IMAGE_HEAD, smallest_side=32)(
            partial(_build, _column, _batch_norm)
        )
