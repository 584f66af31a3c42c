"""The parser of budgets. Its errors show the position.

Grammar (case-insensitive; spaces are ignored)::

    budget = limit { ("," | "&") limit }
    limit  = name "<=" number unit [ "@" target ]
"""

import difflib
import re
from dataclasses import dataclass
from typing import NoReturn

from pocketcnn.errors import UsageError
from pocketcnn.targets import units
from pocketcnn.targets.limits import DEFAULT_TARGET, Limit
from pocketcnn.targets.quantities import Quantity, described_quantities, named_quantities
from pocketcnn.targets.target import is_path, load_target

EXAMPLE = "macs<=50%, size<=300kB, latency<=5ms@onnxruntime-cpu, ram<=256kB"
GRAMMAR = f"""\
A budget is one or more limits, separated by commas:  name<=number unit
{described_quantities(DEFAULT_TARGET)}
  In place of a unit, % is relative to the unpruned network.
Example: {EXAMPLE}"""

_NAMES = named_quantities()
_WORD = re.compile(r"\w+")
_RELATION = re.compile(r"<=|≤")
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?(?![\d.])", re.IGNORECASE | re.ASCII)
_UNIT = re.compile(r"[^\W\d_]+|%")
_TARGET = re.compile(r"[^\s,&@]+")
_AT = re.compile("@")
_SEPARATOR = re.compile(r"[,&]")


def parse_limits(text: str) -> tuple[Limit, ...]:
    """The limits in `text`, in order; see `pocketcnn.targets.budget.Budget.parse`."""
    if not text.strip():
        raise UsageError(f"The budget is empty.\n{GRAMMAR}")
    scanner = _Scanner(text)
    limits: list[Limit] = []
    while True:
        start = scanner.skip_spaces()
        limit = _limit(scanner)
        if any((limit.quantity, limit.target) == (earlier.quantity, earlier.target) for earlier in limits):
            where = f" on {limit.target}" if limit.target else ""
            scanner.fail(f"{limit.quantity}{where} is limited twice. Remove one of the two limits.", start)
        limits.append(limit)
        if scanner.at_end():
            return tuple(limits)
        scanner.take(_SEPARATOR, "a comma and another limit, or the end")


@dataclass
class _Scanner:
    """A position in the text that advances token by token."""

    text: str
    position: int = 0

    def skip_spaces(self) -> int:
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1
        return self.position

    def at_end(self) -> bool:
        return self.skip_spaces() == len(self.text)

    def accept(self, token: re.Pattern[str]) -> str | None:
        match = token.match(self.text, self.skip_spaces())
        if match is None:
            return None
        self.position = match.end()
        return match.group()

    def take(self, token: re.Pattern[str], expected: str) -> str:
        found = self.accept(token)
        if found is None:
            self.fail(f"Expected {expected}.", self.position)
        return found

    def fail(self, problem: str, position: int) -> NoReturn:
        shown = "".join(" " if mark.isspace() else mark for mark in self.text)  # a tab would move the caret
        raise UsageError(f"This budget cannot be read:\n  {shown}\n  {' ' * position}^\n{problem}\n{GRAMMAR}")


def _limit(scanner: _Scanner) -> Limit:
    quantity = _quantity(scanner)
    scanner.take(_RELATION, "<= (every limit is an upper limit)")
    bound, relative = _bound(scanner, quantity)
    return Limit(quantity, bound, relative, _target(scanner, quantity))


def _quantity(scanner: _Scanner) -> Quantity:
    position = scanner.skip_spaces()
    expected = "one of " + ", ".join(Quantity)
    name = scanner.take(_WORD, expected).casefold()
    if name not in _NAMES:
        near = difflib.get_close_matches(name, _NAMES, n=1)
        scanner.fail(f"Expected {expected}." + (f" Did you mean {near[0]}?" if near else ""), position)
    return _NAMES[name]


def _bound(scanner: _Scanner, quantity: Quantity) -> tuple[float, bool]:
    """The bound in base units, or a fraction and True for ``%``."""
    position = scanner.skip_spaces()
    number = scanner.take(_NUMBER, "a number above zero, such as 50 or 0.5")
    unit_position = scanner.skip_spaces()
    known = {**quantity.row.dimension.units, **units.PERCENT}
    name = scanner.accept(_UNIT) or ""
    unit = units.find_unit(known, name)
    if unit is None:
        names = [unit for unit in known if unit] + ["no unit"] * ("" in known)
        scanner.fail(f"Expected a unit of {quantity}: {', '.join(names)}.", unit_position)
    bound = units.to_base(number, known[unit])
    if not 0 < bound < float("inf"):
        scanner.fail("Expected a number above zero." if bound == 0 else "That number is too large.", position)
    return bound, unit in units.PERCENT


def _target(scanner: _Scanner, quantity: Quantity) -> str | None:
    position = scanner.skip_spaces()
    if scanner.accept(_AT) is None:
        return DEFAULT_TARGET if quantity.has_target else None
    if not quantity.has_target:
        timed = " or ".join(known for known in Quantity if known.has_target)
        scanner.fail(f"Only {timed} has a target. {quantity} does not depend on the target.", position)
    position = scanner.skip_spaces()
    name = scanner.take(_TARGET, f"the name of a target, such as {DEFAULT_TARGET}")
    try:
        load_target(name)
    except UsageError as error:
        scanner.fail(str(error), position)
    return name if is_path(name) else name.casefold()
