"""A search space as data: decisions with their choices, and a network for every point.

A point maps each decision to its choice. It is plain data, so it can be stored as JSON and written by hand. A decision may
have no effect at a point, such as the kernel of a layer that is left out. It then has its first choice, so that equal
networks are equal points.
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

MAX_REDRAWS = 100
"""How often a mutation without effect is drawn again."""


@dataclass(frozen=True)
class Task:
    """The classification task: number of classes, and images of (channels, height, width)."""

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
        """Whether the images are small; networks then have fewer strides and a narrower head."""
        return is_small(self.size)

    @property
    def total_stride(self) -> int:
        """The ratio of image size to the size of the last feature map."""
        return total_stride_for(self.size)


@dataclass(frozen=True)
class Decision:
    """A choice among `choices`. It has an effect only if each earlier decision in `needs` has one of the choices listed
    there.
    """

    name: str
    choices: tuple[Choice, ...]
    needs: tuple[tuple[str, tuple[Choice, ...]], ...] = ()

    def __post_init__(self) -> None:
        if not self.choices:
            raise UsageError(f"The decision {self.name} has no choices.")
        for choice in self.choices:
            if not isinstance(choice, str | int | float):
                raise UsageError(
                    f"The decision {self.name} has the choice {choice!r}, which is not text, a number or a boolean."
                )
        if any(is_same(a, b) for n, a in enumerate(self.choices) for b in self.choices[:n]):
            raise UsageError(f"The decision {self.name} lists a choice twice: {shown(self.choices)}.")

    def index(self, choice: object) -> int:
        """The index of a choice.

        Raises:
            UsageError: it is not one of the choices.
        """
        for index, each in enumerate(self.choices):
            if is_same(each, choice):
                return index
        raise UsageError(f"{self.name} must be one of {shown(self.choices)}, not {choice!r}.")

    def matters(self, point: Point) -> bool:
        """Whether it has an effect, given the earlier decisions of `point`."""
        return all(any(is_same(point[name], each) for each in choices) for name, choices in self.needs)


def is_same(a: object, b: object) -> bool:
    """Whether two choices are the same; unlike in Python, True is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def shown(choices: Sequence[object]) -> str:
    """Choices formatted for a message."""
    return ", ".join(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices)


class Space(ABC):
    """A search space: `decisions` in the order in which they are made, and the network of every point."""

    name: str

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions; a decision may depend only on earlier ones."""

    @abstractmethod
    def build(self, point: Point, task: Task) -> nn.Module:
        """The network of a point, with new weights: (N, channels, H, W) -> (N, classes), for images of `input_size`."""

    @abstractmethod
    def describe(self, point: Point) -> list[str]:
        """The network of a point in words, block by block."""

    def input_size(self, point: Point, task: Task) -> tuple[int, int]:  # noqa: ARG002
        """Height and width of the input of a point's network: those of the task, unless the resolution is a decision."""
        return task.size

    @property
    def reference(self) -> Mapping[str, Choice]:
        """What a file stores so that `pocketcnn.nas.spaces.space_of` can build this space again: its name and options."""
        return {"name": self.name}

    def larger(self) -> "tuple[Space, ...]":
        """Spaces with larger networks for the same points, to which a found point can be transferred."""
        return ()

    def representative(self, point: Point) -> Point:
        """The point that represents all points with the same network, where `needs` alone does not make them equal.

        `point` must have all decisions.
        """
        return point

    @property
    def size(self) -> int:
        """Upper bound on the number of points; points with equal networks are counted separately."""
        return prod(len(decision.choices) for decision in self.decisions)

    def matters(self, point: Point) -> tuple[bool, ...]:
        """For each decision, whether it has an effect at `point`."""
        return tuple(decision.matters(point) for decision in self.decisions)

    def check(self, point: Mapping[str, object]) -> Point:
        """`point` in its canonical form. Decisions without effect may be missing.

        Raises:
            UsageError: a decision is missing, unknown, or has an invalid choice; the message lists the valid ones.
        """
        names = [decision.name for decision in self.decisions]
        for name in point:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"its decisions are {', '.join(names)}."
                raise UsageError(f"The space {self.name} has no decision {name}; {hint}")
        found: dict[str, Choice] = {}
        for decision in self.decisions:
            choice = decision.choices[0]
            if decision.matters(found):
                if decision.name not in point:
                    raise UsageError(
                        f"The point has no {decision.name}. In the space {self.name} it is one of "
                        f"{shown(decision.choices)}."
                    )
                choice = decision.choices[decision.index(point[decision.name])]
            found[decision.name] = choice
        return self._canonical(found)

    def random(self, rng: np.random.Generator) -> Point:
        """A point with every decision drawn uniformly."""
        return self._canonical(
            {decision.name: decision.choices[int(rng.integers(len(decision.choices)))] for decision in self.decisions}
        )

    def mutated(self, point: Point, rng: np.random.Generator) -> Point:
        """`point` with another choice for one decision that has an effect; `point` itself if no other network was found.

        Decisions that gain an effect by the mutation are drawn at random.
        """
        for _ in range(MAX_REDRAWS):
            mutable = [
                decision
                for decision, matters in zip(self.decisions, self.matters(point), strict=True)
                if matters and len(decision.choices) > 1
            ]
            if not mutable:
                return point
            decision = mutable[int(rng.integers(len(mutable)))]
            others = [choice for choice in decision.choices if not is_same(choice, point[decision.name])]
            changed = {**self.random(rng), **self._relevant_choices(point)}
            changed[decision.name] = others[int(rng.integers(len(others)))]
            found = self._canonical(changed)
            if found != point:
                return found
        return point

    def indices(self, point: Point) -> tuple[int, ...]:
        """For each decision the index of its choice, as a controller generates them."""
        return tuple(decision.index(point[decision.name]) for decision in self.decisions)

    def at(self, indices: Sequence[int]) -> Point:
        """The point with these indices of its choices."""
        return self._canonical(
            {decision.name: decision.choices[index] for decision, index in zip(self.decisions, indices, strict=True)}
        )

    def _relevant_choices(self, point: Point) -> dict[str, Choice]:
        return {
            decision.name: point[decision.name]
            for decision, matters in zip(self.decisions, self.matters(point), strict=True)
            if matters
        }

    def _canonical(self, point: Mapping[str, Choice]) -> Point:
        return self._with_defaults(self.representative(self._with_defaults(point)))

    def _with_defaults(self, point: Point) -> dict[str, Choice]:
        """`point` with the first choice for each decision without effect."""
        found: dict[str, Choice] = {}
        for decision in self.decisions:
            found[decision.name] = point[decision.name] if decision.matters(found) else decision.choices[0]
        return found


def key_of(point: Point) -> Key:
    """A hashable form of a point, independent of the order of its decisions."""
    return tuple(sorted(point.items()))


def check_decisions(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return the decisions if their names are unique and each depends only on earlier ones.

    Raises:
        UsageError: they are not.
    """
    earlier: dict[str, Decision] = {}
    for decision in decisions:
        if decision.name in earlier:
            raise UsageError(f"Two decisions are called {decision.name}.")
        for name, choices in decision.needs:
            if name not in earlier:
                raise UsageError(f"{decision.name} depends on {name}, which is not an earlier decision.")
            for choice in choices:
                earlier[name].index(choice)
        earlier[decision.name] = decision
    if not decisions:
        raise UsageError("A search space needs at least one decision.")
    return tuple(decisions)
