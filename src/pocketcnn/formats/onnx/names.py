"""Names of the values of an ONNX graph: a file spells each of them at every use."""

import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count, product

from onnx import GraphProto

Candidates = Callable[[str], Iterator[str]]
"""Old name -> names that may take its place, best first."""


def shorten(graph: GraphProto) -> None:
    """Call inner values a, b, c, …, the most used first; inputs and outputs keep their names."""
    names = short_names()
    kept = {value.name: value.name for value in chain(graph.input, graph.output)}
    rename(graph, kept, lambda old: names)


def rename(graph: GraphProto, fixed: Mapping[str, str], candidates: Candidates) -> None:
    """Give every value in `fixed` that name, and every other value its first candidate that nothing else is called."""
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
    """How often the graph spells each name; an absent input has none."""
    values = chain.from_iterable((*node.input, *node.output) for node in graph.node)
    return Counter(name for name in chain(values, (constant.name for constant in graph.initializer)) if name)


def short_names() -> Iterator[str]:
    """a, b, … Z, then aa … Z9, and so on: a letter first, so that every reader takes it for a name."""
    for length in count(0):
        for first, *rest in product(string.ascii_letters, *(string.ascii_letters + string.digits,) * length):
            yield "".join((first, *rest))
