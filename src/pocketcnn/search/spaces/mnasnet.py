"""MnasNet's space: "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019), section 4.1 and Figure 4.

Seven blocks with the strides of MobileNetV2; each has as many layers as there, one more or one less, and 0.75, 1 or 1.25 times as
many filters.
"""

from pocketcnn.search.spaces.stages import BlockChoices, Frame, StageSpace, distinct, scaled

MOBILENET_V2 = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Filters, layers and stride of its blocks: Table 2 of its paper."""

FILTERS = (0.75, 1.0, 1.25)
STEM, LAST = 32, 1280


def mnasnet(width: float = 1.0) -> StageSpace:
    """The space at a width multiplier.

    In each block: a standard, a depthwise separable convolution or an inverted residual with expansion 3 or 6; kernel 3 or 5;
    squeeze-and-excite or not; no skip, the identity, or pooling; filters and layers.
    """
    blocks = tuple(
        BlockChoices(
            operation=("inverted", "separable", "conv"),
            filters=distinct([scaled(round(filters * share), width) for share in FILTERS]),
            layers=tuple(count for count in (layers - 1, layers, layers + 1) if count),
            kernel=(3, 5),
            expansion=(3, 6),
            squeeze_excite=(False, True),
            skip=("none", "identity", "pool"),
            stride=stride,
        )
        for filters, layers, stride in MOBILENET_V2
    )
    return StageSpace("mnasnet", Frame(stem=scaled(STEM, width), last=LAST, width=width), blocks)
