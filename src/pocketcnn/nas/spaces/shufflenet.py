"""Choice blocks: "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (Guo et al., 2020), Table 1.

Twenty units of ShuffleNetV2 in four stages. Each has kernel 3, 5 or 7, or is the "Xception" unit of three separable
convolutions.
"""

from pocketcnn.nas.spaces.operations import SHUFFLES
from pocketcnn.nas.spaces.stages import BlockChoices, Frame, StageSpace, scaled

STAGES = ((64, 4), (160, 4), (320, 8), (640, 4))
"""Channels and units; the first unit of each has stride 2."""

STEM, LAST = 16, 1024


def shufflenet(width: float = 1.0) -> StageSpace:
    """The space at a width multiplier."""
    blocks = tuple(
        BlockChoices(operation=SHUFFLES, filters=(scaled(channels, width),), stride=2 if unit == 0 else 1)
        for channels, units in STAGES
        for unit in range(units)
    )
    return StageSpace("shufflenet", Frame(stem=scaled(STEM, width), last=LAST, width=width), blocks)
