"""Finds the blocks of a network from the paths of its modules, such as ``features.3`` or ``layer1.0``.

A module is a block unless it is only a sequence of others; then its parts are the blocks. The parts of a sequence have numbers
in their names (``0``, ``block1``, ``stage2``), and its own code computes nothing. The code of a block adds, concatenates or
multiplies.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from pocketcnn.report.diagram.boxes import Box

_NUMBERED = re.compile(r".*\d")
MAX_BLOCK_SHARE = 0.5
"""A module with a larger share of all boxes is never a block."""


@dataclass
class _Module:
    """A module with its number of boxes, of which `own` are computed by its own code."""

    name: str
    boxes: int = 0
    own: int = 0
    parts: dict[str, "_Module"] = field(default_factory=dict)

    @property
    def numbered(self) -> bool:
        return bool(_NUMBERED.fullmatch(self.name))

    def composite(self) -> list["_Module"]:
        """The numbered parts of more than one box."""
        return [part for part in self.parts.values() if part.numbered and part.boxes > 1]


@dataclass(frozen=True)
class Block:
    """The boxes of a block, and the path of its module."""

    path: str
    boxes: tuple[Box, ...]


def units(boxes: Sequence[Box], root: str = "") -> list[Block]:
    """The blocks of module `root`, in order. A box outside of any block is a block of its own.

    If `root` is itself a block, it is the only one.
    """
    inner = [box for box in boxes if box.kind != "end"]
    tree = _tree(root.rpartition(".")[2], [(_below(box.path, root), box.own) for box in inner])
    whole = bool(root) and not _is_sequence(tree, sys.maxsize)
    result: list[Block] = []
    current: str | None = None
    for box in boxes:
        path = None if box.kind == "end" else root if whole else _unit(tree, root, _below(box.path, root), len(inner))
        if path is not None and path == current:
            result[-1] = Block(path, (*result[-1].boxes, box))
        else:
            result.append(Block(box.path if path is None else path, (box,)))
        current = path
    return result


def _below(path: str, root: str) -> tuple[str, ...]:
    inner = path.removeprefix(root).removeprefix(".") if root else path
    return tuple(inner.split(".")) if inner else ()


def _tree(name: str, paths: Sequence[tuple[tuple[str, ...], bool]]) -> _Module:
    tree = _Module(name)
    for path, own in paths:
        module = tree
        module.boxes += 1
        for name in path:
            module = module.parts.setdefault(name, _Module(name))
            module.boxes += 1
        module.own += own
    return tree


def _unit(tree: _Module, root: str, path: tuple[str, ...], total: int) -> str | None:
    """The path of the block that a box at `path` below `root` belongs to; None if it belongs to none."""
    module = tree
    for depth, name in enumerate(path, start=1):
        module = module.parts[name]
        if not module.parts:
            return None
        if not _is_sequence(module, total):
            return ".".join((root, *path[:depth]) if root else path[:depth])
    return None


def _is_sequence(module: _Module, total: int) -> bool:
    """Whether the module only runs its parts in sequence."""
    if module.boxes > MAX_BLOCK_SHARE * total and total > 12:
        return True
    if module.own:
        return False
    if len(module.composite()) >= 2:
        return True
    if module.numbered:
        return any(not part.numbered and not part.own and len(part.composite()) >= 2 for part in module.parts.values())
    return len(module.parts) == 1 or sum(part.numbered for part in module.parts.values()) >= 2
