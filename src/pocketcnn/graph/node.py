"""The node of a graph, and the types of shapes and attributes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]
"""Shape of a value for one image, without batch axis: (C, H, W) for feature maps, (F,) for vectors."""

Attr = bool | int | float | tuple[int, ...]
"""An attribute of a node: plain data that JSON can represent."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation with named inputs and one output.

    `name` is the name of the node and of its output: the path of the module in the source network, if the node comes from
    a module. `tensors` maps a role (``"weight"``) to the name of a tensor (``"features.0.weight"``, as in the source's
    `state_dict`). `shape` is the shape of the output, per image.
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
        """The attribute as a boolean."""
        return bool(self.attrs[attribute])
