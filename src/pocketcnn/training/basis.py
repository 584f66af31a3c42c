"""What a training depends on beside its recipe: stored in its checkpoints, and compared when it is resumed."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from pocketcnn.data.inventory import Inventory
from pocketcnn.graph import InputContract

KEY = "basis"
"""The part of a checkpoint; those of earlier versions do not have it."""


@dataclass(frozen=True)
class TrainingBasis:
    """What must be the same when a training is resumed.

    Attributes:
        images: the images of the folder.
        facts: further values by their names in words, such as ``{"the network": "mobilenet_v2"}``; strings.
    """

    images: Inventory | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """The basis as tensors and plain values."""
        return {
            "classes": None if self.images is None else list(self.images.classes),
            "images": None if self.images is None else self.images.images,
            "facts": dict(self.facts),
            "versions": _versions(),
        }

    def changes_from(self, state: object) -> list[str]:
        """What is different from the basis that `state_dict` returned; empty if nothing is.

        Raises:
            ValueError: `state` is none.
        """
        parts = _parts(state)
        changes: list[str] = []
        if self.images is not None and parts["images"] is not None:
            changes += Inventory.from_plain(parts["classes"], parts["images"]).changes_to(self.images)
        theirs = parts["facts"]
        for name in sorted(theirs.keys() & self.facts.keys()):
            if theirs[name] != self.facts[name]:
                changes.append(f"{name} was {theirs[name]} and is {self.facts[name]}")
        return changes


def input_facts(contract: InputContract) -> dict[str, str]:
    """The input contract as facts of a basis."""
    return {f"the input's {name}": str(value) for name, value in contract.model_dump(mode="json").items()}


def other_versions(state: object) -> str:
    """A note on the versions with which the training of `state` was begun; empty if they are the present ones.

    Raises:
        ValueError: `state` is no basis.
    """
    theirs, mine = _parts(state)["versions"], _versions()
    changed = [f"{name} {theirs[name]}" for name in mine if theirs.get(name, mine[name]) != mine[name]]
    if not changed:
        return ""
    return f"It was begun with {' and '.join(changed)}: the result may differ from that of one run in the last digits."


def _versions() -> dict[str, str]:
    return {"PyTorch": str(torch.__version__), "Python": platform.python_version()}


def _parts(state: object) -> Mapping[str, Any]:
    if not isinstance(state, Mapping) or not {"classes", "images", "facts", "versions"} <= state.keys():
        raise ValueError("what it says of its images is damaged")
    for name in ("facts", "versions"):
        table = state[name]
        if not isinstance(table, Mapping) or not all(isinstance(each, str) for pair in table.items() for each in pair):
            raise ValueError(f"its table of {name} is damaged")
    return state
