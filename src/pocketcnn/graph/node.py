"""One operation of a captured network, and the small vocabulary that everything about a graph is written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]
"""Shape of a value for one image: (C, H, W) for feature maps, (F,) for vectors. The batch axis is free, so never part of it."""

Attr = bool | int | float | tuple[int, ...]
"""An attribute of a node. Everything in a graph is plain data: it goes into a JSON header and back."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: named values in, one named value out.

    `name` is both the node's and its output's; it is the module's path in the source network where a module
    made the node. `tensors` maps a role (``"weight"``) to the name of the tensor that plays it
    (``"features.0.weight"``, as in the source's `state_dict`). `shape` is the output's, per image.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: Shape
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    tensors: Mapping[str, str] = field(default_factory=dict)

    def ints(self, attribute: str) -> tuple[int, ...]:
        """The attribute as a tuple of integers."""
        value = self.attrs[attribute]
        if not isinstance(value, tuple):
            raise TypeError(f"attribute {attribute!r} of {self.name!r} is {value!r}, not a tuple")
        return value

    def pair(self, attribute: str) -> tuple[int, int]:
        """The attribute as (vertical, horizontal)."""
        vertical, horizontal = self.ints(attribute)
        return vertical, horizontal

    def integer(self, attribute: str) -> int:
        """The attribute as an integer."""
        value = self.attrs[attribute]
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"attribute {attribute!r} of {self.name!r} is {value!r}, not an integer")
        return value

    def number(self, attribute: str) -> float:
        """The attribute as a float."""
        value = self.attrs[attribute]
        if not isinstance(value, int | float):
            raise TypeError(f"attribute {attribute!r} of {self.name!r} is {value!r}, not a number")
        return float(value)

    def flag(self, attribute: str) -> bool:
        """The attribute as a truth value."""
        return bool(self.attrs[attribute])
