"""Given ratios: which share of the channels of each named layer goes."""

from collections.abc import Mapping

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.schedule import Counts, Schedule
from pocketcnn.errors import UsageError


def counts_of(order: Schedule, coupling: Coupling, ratios: Mapping[str, float]) -> Counts:
    """How many units each group loses so that each layer of `ratios` loses its share of output channels, rounded to widths.

    A layer that is not named keeps its channels, unless they go together with those of a named one.

    Raises:
        UsageError: an unknown layer, one of which nothing can go, a share out of range, or two shares for layers whose
            channels go together.
    """
    _check(order, coupling, ratios)
    counts = []
    for place, group in enumerate(order.groups):
        shares = {layer: ratios[layer] for layer in group.width if layer in ratios}
        if len(set(shares.values())) > 1:
            given = ", ".join(f"{layer!r}: {share:g}" for layer, share in shares.items())
            raise UsageError(f"The channels of these layers go together, so they need one ratio: {given}.")
        share = next(iter(shares.values()), 0.0)
        allowed = len(order.leaving(place))
        counts.append(order.rounded(place, min(allowed, round(share * len(group.units)))))
    return tuple(counts)


def _check(order: Schedule, coupling: Coupling, ratios: Mapping[str, float]) -> None:
    layers = {layer.node for layer in coupling.layers}
    if unknown := sorted(set(ratios) - layers):
        raise UsageError(f"No convolution or linear layer is called {', '.join(map(repr, unknown))}.")
    fixed = sorted(set(ratios) - {layer for group in order.groups for layer in group.width})
    if fixed:
        reasons = [f"{layer!r} ({_reason(coupling, layer)})" for layer in fixed]
        raise UsageError(f"No channels of {', '.join(reasons)} can be removed.")
    for layer, share in ratios.items():
        if not 0 <= share < 1:
            raise UsageError(
                f"The ratio of {layer!r} is the share of channels that goes, from 0 to below 1, not {share}."
            )


def _reason(coupling: Coupling, name: str) -> str:
    """Why a layer loses no channels by itself."""
    layer = next(layer for layer in coupling.layers if layer.node == name)
    frozen = next((coupling.frozen[item] for item in layer.outputs.tolist() if item in coupling.frozen), None)
    if frozen is not None:
        return frozen
    return "they follow the channels that it reads" if layer.passes else "they are kept, as the settings say"
