"""MnasNet's space: "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019), section 4.1, Figure 4.

Seven blocks with the strides of MobileNetV2. Each has as many layers as there, one more or one fewer, and 0.75, 1 or 1.25
times as many filters.

`mnasnet_factorized` is not in the paper: its blocks may also be convolutions factorized into K × 1 and 1 × K, as in
Inception-v3 ("Rethinking the Inception Architecture for Computer Vision" (Szegedy et al., 2016), section 3.2) and ERFNet
(Romera et al., 2018). They take 2 / K of the multiply-adds of the full kernel, so kernels of 7 are included too.
"""

from pocketcnn.nas.spaces.stages import BlockChoices, Frame, StageSpace, distinct, scaled

MOBILENET_V2 = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Filters, layers and stride of its blocks: Table 2 of its paper."""

FILTERS = (0.75, 1.0, 1.25)
STEM, LAST = 32, 1280


OPERATIONS = ("inverted", "separable", "conv")
KERNELS = (3, 5)


def mnasnet(width: float = 1.0) -> StageSpace:
    """The space at a width multiplier.

    Each block chooses a standard convolution, a depthwise separable convolution, or an inverted residual with expansion 3 or
    6; kernel 3 or 5; squeeze-and-excite; skip (none, identity, pooling); filters; and layers.
    """
    return _space("mnasnet", width, OPERATIONS, KERNELS)


def mnasnet_factorized(width: float = 1.0) -> StageSpace:
    """The same with factorized convolutions and kernels of 7."""
    return _space("mnasnet_factorized", width, (*OPERATIONS, "factorized"), (*KERNELS, 7))


def _space(name: str, width: float, operations: tuple[str, ...], kernels: tuple[int, ...]) -> StageSpace:
    blocks = tuple(
        BlockChoices(
            operation=operations,
            filters=distinct([scaled(round(filters * share), width) for share in FILTERS]),
            layers=tuple(count for count in (layers - 1, layers, layers + 1) if count),
            kernel=kernels,
            expansion=(3, 6),
            squeeze_excite=(False, True),
            skip=("none", "identity", "pool"),
            stride=stride,
        )
        for filters, layers, stride in MOBILENET_V2
    )
    return StageSpace(name, Frame(stem=scaled(STEM, width), last=LAST, width=width), blocks)
