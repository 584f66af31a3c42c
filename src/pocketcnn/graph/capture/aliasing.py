"""Detection of in-place writes through views, which a graph cannot represent.

``x[:, :2] += 1`` writes to ``x`` through a view, and later reads of ``x`` see the change. In an exported graph ``x`` still
denotes the old value. ``x += 1`` and ``relu_(x)`` are harmless: later operations read the result of the operation.
"""

from typing import Any

from torch import Tensor, fx


class Memory:
    """Tracks, node by node, which values of an exported graph share memory and which of them were overwritten."""

    def __init__(self) -> None:
        self._sharing: dict[int, list[fx.Node]] = {}
        self._overwritten: set[fx.Node] = set()

    def overwritten(self, node: fx.Node) -> bool:
        """Whether `node` reads a value whose memory was overwritten through an alias."""
        return any(source in self._overwritten for source in node.all_input_nodes)

    def follow(self, node: fx.Node) -> None:
        """Record the effects of `node`: the views it creates and the memory it writes."""
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and schema is not None and schema.is_mutable:
            written = [
                node.args[index]
                for index, argument in enumerate(schema.arguments)
                if _is_written(argument, index, node)
            ]
            for target in written:
                if isinstance(target, fx.Node):
                    self._overwritten.update(other for memory in _memories(target) for other in self._sharing[memory])
        for memory in _memories(node):
            self._sharing.setdefault(memory, []).append(node)


def _is_written(argument: Any, index: int, node: fx.Node) -> bool:
    return index < len(node.args) and argument.alias_info is not None and argument.alias_info.is_write


def _memories(node: fx.Node) -> set[int]:
    value = node.meta.get("val")
    parts = value if isinstance(value, tuple | list) else (value,)
    return {int(part.untyped_storage()._cdata) for part in parts if isinstance(part, Tensor)}
