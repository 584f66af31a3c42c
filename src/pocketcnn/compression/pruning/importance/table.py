"""The criteria by name."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from pocketcnn.compression.pruning.importance.bn_scale import bn_scale
from pocketcnn.compression.pruning.importance.criterion import Criterion
from pocketcnn.compression.pruning.importance.energy import energy
from pocketcnn.compression.pruning.importance.fpgm import fpgm
from pocketcnn.compression.pruning.importance.magnitude import magnitude
from pocketcnn.compression.pruning.importance.random import random
from pocketcnn.compression.pruning.importance.taylor import taylor
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
    """The criterion called `name`.

    Raises:
        UsageError: there is none; the message has the nearest and all names.
    """
    if name in CRITERIA:
        return CRITERIA[name]
    close = difflib.get_close_matches(name, CRITERIA, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"There is no importance criterion {name!r}.{hint} Known: {', '.join(CRITERIA)}.")
