"""MobileNetV3's space: "Searching for MobileNetV3" (Howard et al., 2019), section 4, over the rows of its Tables 1 and 2.

Every row keeps its output channels and stride. The decisions are kernel, expansion, squeeze-and-excite and nonlinearity, and
whether a row that keeps the shape of the map exists.
"""

from pocketcnn.models.mobilenet_v3 import LARGE, SMALL, STEM, Variant
from pocketcnn.nas.spaces.stages import BlockChoices, Frame, StageSpace, scaled

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)


def mobilenet_v3(width: float = 1.0) -> StageSpace:
    """The space over the rows of MobileNetV3-Small at a width multiplier."""
    return _space("mobilenet_v3", SMALL, width)


def mobilenet_v3_large(width: float = 1.0) -> StageSpace:
    """The space over the rows of MobileNetV3-Large at a width multiplier."""
    return _space("mobilenet_v3_large", LARGE, width)


def _space(name: str, variant: Variant, width: float) -> StageSpace:
    blocks, before = [], STEM
    for row in variant.rows:
        is_first = row.expanded == before  # the tables' first row has no expansion
        keeps_map = row.stride == 1 and row.out == before
        blocks.append(
            BlockChoices(
                filters=(scaled(row.out, width),),
                layers=(1, 0) if keeps_map else (1,),
                kernel=KERNELS,
                expansion=(1,) if is_first else EXPANSIONS,
                squeeze_excite=(False, True),
                activation=("relu", "hardswish"),
                stride=row.stride,
            )
        )
        before = row.out
    frame = Frame(
        stem=scaled(STEM, width),
        last=scaled(variant.last, width),
        head=variant.head,
        width=width,
        activation=variant.activation,
    )
    return StageSpace(name, frame, tuple(blocks))
