"""Short names for the values of an ONNX graph, because the file repeats a name at every use."""

import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count, product

from onnx import GraphProto

Candidates = Callable[[str], Iterator[str]]
"""Old name -> candidate new names, best first."""


def shorten(graph: GraphProto) -> None:
    """Rename intermediate values to a, b, c, …, the most frequent first; inputs and outputs keep their names."""
    names = short_names()
    kept = {value.name: value.name for value in chain(graph.input, graph.output)}
    rename(graph, kept, lambda old: names)


def rename(graph: GraphProto, fixed: Mapping[str, str], candidates: Candidates) -> None:
    """Rename the values in `fixed`, and every other value to its first candidate that is not in use."""
    names, used = dict(fixed), set(fixed.values())
    for old, _ in _uses(graph).most_common():
        if old not in names:
            names[old] = next(name for name in candidates(old) if name not in used)
            used.add(names[old])
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for constant in graph.initializer:
        constant.name = names[constant.name]


def _uses(graph: GraphProto) -> Counter[str]:
    """Number of occurrences of each name; absent inputs (empty names) are not counted."""
    values = chain.from_iterable((*node.input, *node.output) for node in graph.node)
    return Counter(name for name in chain(values, (constant.name for constant in graph.initializer)) if name)


def short_names() -> Iterator[str]:
    """a, b, … Z, aa, … Z9, …: names that begin with a letter, so that every parser accepts them."""
    for length in count(0):
        for first, *rest in product(string.ascii_letters, *(string.ascii_letters + string.digits,) * length):
            yield "".join((first, *rest))
