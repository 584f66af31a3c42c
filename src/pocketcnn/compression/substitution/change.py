"""What a substitution did."""

from dataclasses import dataclass

from pocketcnn.graph import GraphNetwork


@dataclass(frozen=True)
class Change:
    """One layer that became another: its name, what it `was`, and what it is `now`."""

    name: str
    was: str
    now: str


@dataclass(frozen=True)
class Substitution:
    """The network made over, what was changed, and the layers that nothing could be put in the place of (name, operation)."""

    network: GraphNetwork
    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...]
