"""The importance criteria by name."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from pocketcnn.compression.pruning.importance.criterion import Criterion
from pocketcnn.compression.pruning.importance.data_criteria import energy, taylor
from pocketcnn.compression.pruning.importance.weight_criteria import bn_scale, fpgm, magnitude, random
from pocketcnn.errors import UsageError

CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "magnitude": magnitude,
        "bn_scale": bn_scale,
        "energy": energy,
        "taylor": taylor,
        "fpgm": fpgm,
        "random": random,
    }
)


def criterion(name: str) -> Criterion:
    """The criterion with this name.

    Raises:
        UsageError: there is none; the message suggests the nearest name and lists all.
    """
    if name in CRITERIA:
        return CRITERIA[name]
    close = difflib.get_close_matches(name, CRITERIA, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"There is no importance criterion {name!r}.{hint} Known: {', '.join(CRITERIA)}.")
