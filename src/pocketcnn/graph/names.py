"""Names that are still free."""

from collections.abc import Iterator
from itertools import count


def numbered(name: str) -> Iterator[str]:
    """The name itself, then name#2, name#3, …"""
    yield name
    yield from (f"{name}#{number}" for number in count(2))
