"""What the paper prints: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design" (2018), Tables 1 to 4.

Its ARM columns: images per second on one core of a Snapdragon 810, batch 1. Networks stack ten blocks on images of 56 x 56.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from benchmarks.shufflenet_guidelines.blocks import bottlenecks, fragments, group_convolutions, shuffled, two_widths

SIDE = 56


@dataclass(frozen=True)
class Experiment:
    """One table: in each column the rows do the same number of multiply-adds (except where the title says otherwise).

    `printed` is the paper's ARM speed in images per second, row by row; None where the paper has no such table.
    """

    title: str
    claim: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Any]]
    printed: Mapping[str, Sequence[float]] | None
    build: Any

    def networks(self, column: int) -> dict[str, nn.Module]:
        """The networks of one column, by row."""
        return {row: self.build(variants[column]) for row, variants in self.rows.items()}


def _scaled(*channels: int) -> list[tuple[int, ...]]:
    """The same widths at x1, x2 and x4."""
    return [tuple(channel * scale for channel in channels) for scale in (1, 2, 4)]


GUIDELINES = (
    Experiment(
        "G1: channels in and out (Table 1)",
        "Equal channel width minimizes memory access cost",
        ("x1", "x2", "x4"),
        {"1:1": _scaled(32, 32), "1:2": _scaled(22, 44), "1:6": _scaled(13, 78), "1:12": _scaled(9, 108)},
        {
            "1:1": (76.2, 21.7, 5.3),
            "1:2": (72.9, 20.5, 5.1),
            "1:6": (69.1, 17.9, 4.6),
            "1:12": (57.6, 15.1, 4.4),
        },
        two_widths,
    ),
    Experiment(
        "G2: number of groups (Table 2)",
        "Excessive group convolution increases memory access cost",
        ("x1", "x2", "x4"),
        {
            f"g={groups}": [(*width, groups) for width in _scaled(channels)]
            for groups, channels in ((1, 64), (2, 90), (4, 128), (8, 180))
        },
        {"g=1": (40.0, 10.2, 2.3), "g=2": (35.0, 9.5, 2.2), "g=4": (32.9, 8.7, 2.1), "g=8": (27.8, 7.5, 1.8)},
        group_convolutions,
    ),
    Experiment(
        "G3: fragments of a block (Table 3)",
        "Network fragmentation reduces the degree of parallelism",
        ("c=64", "c=128", "c=256"),
        {
            name: [(channels, count, parallel) for channels in (64, 128, 256)]
            for name, count, parallel in (
                ("1-fragment", 1, False),
                ("2-fragment-series", 2, False),
                ("4-fragment-series", 4, False),
                ("2-fragment-parallel", 2, True),
                ("4-fragment-parallel", 4, True),
            )
        },
        {
            "1-fragment": (40.2, 10.1, 2.3),
            "2-fragment-series": (38.6, 10.1, 2.2),
            "4-fragment-series": (38.4, 10.1, 2.3),
            "2-fragment-parallel": (33.4, 9.1, 2.2),
            "4-fragment-parallel": (35.0, 8.4, 2.1),
        },
        fragments,
    ),
    Experiment(
        "G4: element-wise operations (Table 4)",
        "Element-wise operations are non-negligible",
        ("c=32", "c=64", "c=128"),
        {
            f"{'ReLU' if relu else 'no ReLU'}, {'shortcut' if shortcut else 'no shortcut'}": [
                (channels, relu, shortcut) for channels in (32, 64, 128)
            ]
            for relu, shortcut in ((True, True), (True, False), (False, True), (False, False))
        },
        {
            "ReLU, shortcut": (56.7, 16.9, 5.0),
            "ReLU, no shortcut": (61.9, 18.8, 5.2),
            "no ReLU, shortcut": (57.3, 18.2, 5.1),
            "no ReLU, no shortcut": (66.3, 20.2, 5.4),
        },
        bottlenecks,
    ),
    Experiment(
        "Channel shuffle (no table in the paper)",
        "A shuffle has no multiply-adds, but it copies every value",
        ("c=64", "c=128", "c=256"),
        {
            name: [(channels, groups) for channels in (64, 128, 256)]
            for name, groups in (("no shuffle", 1), ("shuffle, 2 groups", 2), ("shuffle, 4 groups", 4))
        },
        None,
        shuffled,
    ),
)
