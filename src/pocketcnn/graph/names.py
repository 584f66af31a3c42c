"""Generation of unique names."""

from collections.abc import Iterator
from itertools import count


def numbered(name: str) -> Iterator[str]:
    """The name, then name#2, name#3, …: candidates for a unique name."""
    yield name
    yield from (f"{name}#{number}" for number in count(2))
