"""A policy: what share of each channel group a narrowed network keeps."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pocketcnn.compression.pruning.schedule import Counts


@dataclass(frozen=True)
class Policy:
    """What one walk through the network decided, and what came of it.

    Attributes:
        counts: how many units each group of the space loses.
        kept: the layers that make the channels of each group that could lose any, and the share of the group that is kept.
        accuracy: without fine-tuning, on the images that the search looked at.
        use: of the resource.
    """

    counts: Counts
    kept: tuple[tuple[tuple[str, ...], float], ...]
    accuracy: float
    use: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON wants them."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Policy":
        """What `as_dict` gave."""
        kept = tuple((tuple(layers), float(share)) for layers, share in fields["kept"])
        return cls(tuple(fields["counts"]), kept, float(fields["accuracy"]), float(fields["use"]))
