"""A search space as data: decisions with their choices, and a network for every point.

A point is a plain mapping from the name of a decision to the choice made: it goes through JSON, and can be written by hand. A
decision may make no difference at a point (the kernel of a layer that is left out); it then has its first choice, so that
equal networks are equal points.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.models.small_images import is_small, total_stride_for

Choice = str | int | float | bool
Point = Mapping[str, Choice]
Key = tuple[tuple[str, Choice], ...]

CHANGES = 100
"""How often a change is drawn anew where it made no difference to the network."""


@dataclass(frozen=True)
class Task:
    """What the networks are for: the number of classes, and images of (channels, height, width)."""

    classes: int
    channels: int
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.height, self.width)

    @property
    def is_small(self) -> bool:
        """Whether the images are small, which gives networks fewer strides and a narrower end."""
        return is_small(self.size)

    @property
    def total_stride(self) -> int:
        """How much smaller the last feature map is to be than the image."""
        return total_stride_for(self.size)


@dataclass(frozen=True)
class Decision:
    """One of `choices` is to be taken. It matters only where each earlier decision in `needs` has one of the choices there."""

    name: str
    choices: tuple[Choice, ...]
    needs: tuple[tuple[str, tuple[Choice, ...]], ...] = ()

    def __post_init__(self) -> None:
        if not self.choices:
            raise UsageError(f"The decision {self.name} has no choices.")
        for choice in self.choices:
            if not isinstance(choice, str | int | float):
                raise UsageError(
                    f"The decision {self.name} has a choice that is no text, number or truth value: {choice!r}."
                )
        if any(is_same(a, b) for n, a in enumerate(self.choices) for b in self.choices[:n]):
            raise UsageError(f"The decision {self.name} has a choice twice: {shown(self.choices)}.")

    def place(self, choice: object) -> int:
        """The place of a choice among the choices.

        Raises:
            UsageError: it is none of them.
        """
        for place, each in enumerate(self.choices):
            if is_same(each, choice):
                return place
        raise UsageError(f"{self.name} is one of {shown(self.choices)}, not {choice!r}.")

    def matters(self, point: Point) -> bool:
        """Whether it makes a difference where the earlier decisions are as in `point`."""
        return all(any(is_same(point[name], each) for each in choices) for name, choices in self.needs)


def is_same(a: object, b: object) -> bool:
    """Whether two choices are the same: to Python, True is 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def shown(choices: Sequence[object]) -> str:
    """Choices for a message."""
    return ", ".join(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices)


class Space(ABC):
    """A search space: `decisions` in the order in which they are taken, and the network of every point."""

    name: str

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """What there is to decide; a decision needs only those before it."""

    @abstractmethod
    def build(self, point: Point, task: Task) -> nn.Module:
        """The network of a point, with fresh weights: (N, channels, H, W) -> (N, classes), for images of `input_size`."""

    @abstractmethod
    def describe(self, point: Point) -> list[str]:
        """The network of a point for people, block by block."""

    def input_size(self, point: Point, task: Task) -> tuple[int, int]:  # noqa: ARG002
        """Height and width of the images that the network of a point takes: the task's, unless that is a decision."""
        return task.size

    @property
    def reference(self) -> Mapping[str, Choice]:
        """What a file says of this space so that `pocketcnn.nas.spaces.space_of` makes it again: a name, and its options."""
        return {"name": self.name}

    def larger(self) -> "tuple[Space, ...]":
        """Spaces whose networks for the same points are larger: to what a found point can be transferred."""
        return ()

    def settled(self, point: Point) -> Point:
        """Where a space knows more about equal networks than the decisions' `needs` say, the point that stands for all of them.

        It may only be asked for points with all decisions.
        """
        return point

    @property
    def size(self) -> int:
        """How many points there are at most: those that are the same network are counted apart."""
        return prod(len(decision.choices) for decision in self.decisions)

    def matters(self, point: Point) -> tuple[bool, ...]:
        """For each decision, whether it makes a difference at `point`."""
        return tuple(decision.matters(point) for decision in self.decisions)

    def check(self, point: Mapping[str, object]) -> Point:
        """`point` as this space writes it. Decisions that make no difference may be left out.

        Raises:
            UsageError: a decision is missing, unknown, or has a choice that there is not; the message says which there are.
        """
        names = [decision.name for decision in self.decisions]
        for name in point:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
                raise UsageError(f"The space {self.name} has no decision {name}; {hint}")
        found: dict[str, Choice] = {}
        for decision in self.decisions:
            choice = decision.choices[0]
            if decision.matters(found):
                if decision.name not in point:
                    raise UsageError(
                        f"The point lacks {decision.name}, which is one of {shown(decision.choices)} "
                        f"in the space {self.name}."
                    )
                choice = decision.choices[decision.place(point[decision.name])]
            found[decision.name] = choice
        return self._canonical(found)

    def random(self, rng: np.random.Generator) -> Point:
        """A point with every decision drawn evenly among its choices."""
        return self._canonical(
            {decision.name: decision.choices[int(rng.integers(len(decision.choices)))] for decision in self.decisions}
        )

    def mutated(self, point: Point, rng: np.random.Generator) -> Point:
        """`point` with another choice for one decision that matters; `point` itself where no other network is near.

        A decision that comes to matter by that is drawn at random.
        """
        for _ in range(CHANGES):
            open_ones = [
                decision
                for decision, matters in zip(self.decisions, self.matters(point), strict=True)
                if matters and len(decision.choices) > 1
            ]
            if not open_ones:
                return point
            decision = open_ones[int(rng.integers(len(open_ones)))]
            others = [choice for choice in decision.choices if not is_same(choice, point[decision.name])]
            changed = {**self.random(rng), **self._that_matter(point)}
            changed[decision.name] = others[int(rng.integers(len(others)))]
            found = self._canonical(changed)
            if found != point:
                return found
        return point

    def places(self, point: Point) -> tuple[int, ...]:
        """For each decision the place of its choice: what a controller takes one after the other."""
        return tuple(decision.place(point[decision.name]) for decision in self.decisions)

    def at(self, places: Sequence[int]) -> Point:
        """The point with these places of its choices."""
        return self._canonical(
            {decision.name: decision.choices[place] for decision, place in zip(self.decisions, places, strict=True)}
        )

    def _that_matter(self, point: Point) -> dict[str, Choice]:
        return {
            decision.name: point[decision.name]
            for decision, matters in zip(self.decisions, self.matters(point), strict=True)
            if matters
        }

    def _canonical(self, point: Mapping[str, Choice]) -> Point:
        return self._with_firsts(self.settled(self._with_firsts(point)))

    def _with_firsts(self, point: Point) -> dict[str, Choice]:
        """`point` with the first choice wherever a decision makes no difference."""
        found: dict[str, Choice] = {}
        for decision in self.decisions:
            found[decision.name] = point[decision.name] if decision.matters(found) else decision.choices[0]
        return found


def key_of(point: Point) -> Key:
    """A point as something that can be compared and looked up, whatever the order of its decisions."""
    return tuple(sorted(point.items()))


def check_decisions(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """The decisions, if their names differ and each needs only earlier ones.

    Raises:
        UsageError: they do not.
    """
    earlier: dict[str, Decision] = {}
    for decision in decisions:
        if decision.name in earlier:
            raise UsageError(f"Two decisions are called {decision.name}.")
        for name, choices in decision.needs:
            if name not in earlier:
                raise UsageError(f"{decision.name} needs {name}, which is not decided before it.")
            for choice in choices:
                earlier[name].place(choice)
        earlier[decision.name] = decision
    if not decisions:
        raise UsageError("A search space needs at least one decision.")
    return tuple(decisions)
