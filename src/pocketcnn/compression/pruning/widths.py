"""Widths that pay on a target: for each channel group the corners of its latency curve, instead of a constant multiple.

Runtimes compute channels in blocks: between two whole blocks a narrower layer is no faster, and may be slower. Which widths
those are depends on the layer, the runtime and the machine, so they are read off the latency table of the target.
"""

from collections.abc import Sequence

from pocketcnn.compression.coupling import ChannelGroup
from pocketcnn.compression.pruning.bounds import Measure
from pocketcnn.compression.pruning.meta_graph import MetaGraph

MOST_TRIED = 24
"""Widths of a group whose latency is asked for; those between them are no candidates."""

WORTH = 0.5
"""A narrower width must save at least this share of what its channels cost on the average of the curve."""


def efficient_widths(
    meta_graph: MetaGraph, groups: Sequence[ChannelGroup], seconds: Measure
) -> tuple[tuple[int, ...] | None, ...]:
    """For each group the numbers of units to choose among, ascending; None where no narrower form is faster.

    Args:
        seconds: the latency of a graph on the target, such as a `LatencyPredictor` gives.
    """
    return tuple(corners(latency_curve(meta_graph, group, seconds)) for group in groups)


def latency_curve(meta_graph: MetaGraph, group: ChannelGroup, seconds: Measure) -> dict[int, float]:
    """Units left of `group` -> seconds of the network when all else is whole, from one unit to all."""
    units = len(group.units)
    every = 1
    while units // every > MOST_TRIED:
        every *= 2
    tried = sorted({units, *range(units - units % every, 0, -every)})
    curve = {}
    for left in tried:
        gone = [item for unit in group.units[left:] for item in unit]
        curve[left] = seconds(meta_graph.without(gone))
    return curve


def corners(curve: dict[int, float]) -> tuple[int, ...] | None:
    """The widths on the lower envelope of a curve (width -> seconds), ascending, the widest one included.

    A width is on it when every wider one takes longer, by as much as channels are worth (`WORTH`); so of a flat step only
    the widest width is left, and none below the fastest. None where no width is faster than the widest.
    """
    widest, fastest = max(curve), min(curve, key=lambda width: (curve[width], -width))
    if fastest == widest:
        return None
    worth = WORTH * (curve[widest] - curve[fastest]) / (widest - fastest)
    kept = [widest]
    for width in sorted(curve, reverse=True)[1:]:
        if curve[kept[-1]] - curve[width] >= worth * (kept[-1] - width):
            kept.append(width)
    return tuple(reversed(kept))
