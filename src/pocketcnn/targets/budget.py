"""A budget: upper limits on the cost of a network.

One budget serves search, pruning, quantization and `fit`. A limit is absolute, or relative to the unpruned parent. A limit on
latency names its target, because a latency depends on device and runtime.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from pocketcnn.errors import UsageError
from pocketcnn.targets.grammar import parse_limits
from pocketcnn.targets.limits import Limit, Subject
from pocketcnn.targets.quantities import Quantity
from pocketcnn.targets.target import Target, load_target
from pocketcnn.targets.verdict import Figure, Verdict, judge

Value = TypeVar("Value")


def device_limits(target: Target) -> tuple[Limit, ...]:
    """The limits of a target itself: on RAM and on the size of the file."""
    limited = sorted((quantity for quantity in Quantity if quantity.row.device), key=lambda limited: limited.row.effort)
    bounds = [(quantity, getattr(target, str(quantity.row.device))) for quantity in limited]
    return tuple(Limit(quantity, bound) for quantity, bound in bounds if bound is not None)


@dataclass(frozen=True)
class Budget:
    """The limits that a network must meet, at most one per quantity and target."""

    limits: tuple[Limit, ...]

    def __post_init__(self) -> None:
        if not self.limits:
            raise UsageError("A budget needs at least one limit.")
        subjects = [(limit.quantity, limit.target) for limit in self.limits]
        if len(set(subjects)) < len(subjects):
            raise UsageError(f"A budget may limit each quantity only once (latency: once per target): {self}.")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Parse ``macs<=50%, size<=300kB, latency<=5ms@onnxruntime-cpu, ram<=256kB``.

        Raises:
            UsageError: the text is not a budget; the message shows the position, what was expected, and the grammar.
        """
        return cls(parse_limits(text))

    def __str__(self) -> str:
        """The text from which `parse` builds an equal budget."""
        return ", ".join(map(str, self.limits))

    def limits_on(self, quantity: Quantity) -> tuple[Limit, ...]:
        """The limits on `quantity`: none, one, or for latency one per target."""
        return tuple(limit for limit in self.limits if limit.quantity is quantity)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets with a latency limit."""
        return tuple(limit.target for limit in self.limits if limit.target is not None)

    def with_device_limits(self) -> "Budget":
        """The same budget with the RAM and storage of its targets added as limits on ``ram`` and ``size``, unless it sets
        them.

        With several targets, the smallest limit applies.

        Raises:
            UsageError: no single file can run on all targets.
        """
        targets = [load_target(name) for name in self.targets]
        if targets and not set.intersection(*(set(target.numerics) for target in targets)):
            able = "; ".join(f"{target.name} runs {', '.join(target.numerics)}" for target in targets)
            raise UsageError(f"No single file runs on all targets of this budget: {able}.")
        found = [limit for target in targets for limit in device_limits(target)]
        added = []
        for quantity in Quantity:
            bounds = [limit.bound for limit in found if limit.quantity is quantity]
            if bounds and not self.limits_on(quantity):
                added.append(Limit(quantity, min(bounds)))
        return Budget((*self.limits, *added))

    def resolve(self, parent: Mapping[Subject, float]) -> "Budget":
        """The same budget with relative limits made absolute by the figures of the unpruned parent, in base units.

        Raises:
            ValueError: `parent` lacks a figure that a relative limit needs.
        """
        return Budget(
            tuple(
                replace(limit, bound=limit.bound * self._of(limit, parent), relative=False) if limit.relative else limit
                for limit in self.limits
            )
        )

    def check(self, figures: Mapping[Subject, Figure]) -> tuple[Verdict, ...]:
        """One verdict per limit, in the budget's order. A latency is judged by its median.

        Raises:
            ValueError: a figure is missing, or a limit is still relative (call `resolve` first).
        """
        return tuple(judge(limit, self._of(limit, figures)) for limit in self.limits)

    def _of(self, limit: Limit, figures: Mapping[Subject, Value]) -> Value:
        """The figure for `limit`. A latency without a target is accepted if the budget has only one target."""
        if limit.target is not None and (limit.quantity, limit.target) in figures:
            return figures[limit.quantity, limit.target]
        if limit.quantity in figures and (limit.target is None or len(self.targets) == 1):
            return figures[limit.quantity]
        raise ValueError(f"no figure was given for the limit {limit}")
