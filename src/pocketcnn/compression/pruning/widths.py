"""Efficient widths on a target: for each channel group the corners of its latency curve, instead of a constant multiple.

Runtimes compute channels in blocks. Between two whole blocks a narrower layer is no faster and may be slower. The block sizes
depend on the layer, the runtime and the machine, so they are taken from the latency table of the target.
"""

from collections.abc import Sequence

from pocketcnn.compression.coupling import ChannelGroup
from pocketcnn.compression.pruning.bounds import Measure
from pocketcnn.compression.pruning.meta_graph import MetaGraph

MAX_WIDTHS_PROBED = 24
"""Widths per group whose latency is predicted; widths between them are no candidates."""

MIN_SAVING_RATIO = 0.5
"""A narrower width must save at least this share of the average saving per channel of the curve."""


def efficient_widths(
    meta_graph: MetaGraph, groups: Sequence[ChannelGroup], seconds: Measure
) -> tuple[tuple[int, ...] | None, ...]:
    """For each group the candidate numbers of units, ascending; None if no narrower width is faster.

    Args:
        meta_graph: of the unpruned graph.
        groups: its channel groups.
        seconds: the latency function of the target, such as a `LatencyPredictor`.
    """
    return tuple(corners(latency_curve(meta_graph, group, seconds)) for group in groups)


def latency_curve(meta_graph: MetaGraph, group: ChannelGroup, seconds: Measure) -> dict[int, float]:
    """Remaining units of `group` -> seconds of the network with all other groups whole, from one unit to all."""
    units = len(group.units)
    every = 1
    while units // every > MAX_WIDTHS_PROBED:
        every *= 2
    widths = sorted({units, *range(units - units % every, 0, -every)})
    curve = {}
    for left in widths:
        gone = [item for unit in group.units[left:] for item in unit]
        curve[left] = seconds(meta_graph.without(gone))
    return curve


def corners(curve: dict[int, float]) -> tuple[int, ...] | None:
    """The widths on the lower envelope of a curve (width -> seconds), ascending, including the widest.

    A width is kept if it is faster than every wider one by at least `MIN_SAVING_RATIO` of the average saving. Of a flat step
    only the widest width remains, and no width below the fastest. None if no width is faster than the widest.
    """
    widest, fastest = max(curve), min(curve, key=lambda width: (curve[width], -width))
    if fastest == widest:
        return None
    min_saving = MIN_SAVING_RATIO * (curve[widest] - curve[fastest]) / (widest - fastest)
    kept = [widest]
    for width in sorted(curve, reverse=True)[1:]:
        if curve[kept[-1]] - curve[width] >= min_saving * (kept[-1] - width):
            kept.append(width)
    return tuple(reversed(kept))
