"""Expressions of parameters alone, and constants made in `forward`: computed once, when the network is captured.

Weight standardization, weight normalization, spectral normalization, the masks of `torch.nn.utils.prune` and gains such as
``gamma.exp()`` become plain weights in this way. A training of the graph then trains these weights themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

_STAYS_FREE = ("aten._assert", "aten.sym_", "aten.dropout", "aten.feature_dropout")


@dataclass
class Constants:
    """The values of an exported graph that do not depend on the images.

    Attributes:
        stored: the tensors of the module, by the placeholder through which the graph reads them.
        names: their names, by placeholder.
        trained: the names of those that are parameters.
    """

    stored: Mapping[fx.Node, Tensor]
    names: Mapping[fx.Node, str]
    trained: frozenset[str]
    nodes: set[fx.Node] = field(default_factory=set)
    _values: dict[fx.Node, Tensor] = field(default_factory=dict)

    def follow(self, node: fx.Node) -> bool:
        """Whether `node` is such a value; to be called for all nodes in their order."""
        if node in self.stored or (
            node.op == "call_function"
            and isinstance(node.meta.get("val"), Tensor)
            and not str(node.target).startswith(_STAYS_FREE)
            and not _is_random(node.target)
            and all(source in self.nodes for source in node.all_input_nodes)
        ):
            self.nodes.add(node)
            return True
        return False

    @torch.no_grad()
    def value(self, node: fx.Node) -> Tensor:
        """The value of `node`, which must be one of `nodes`."""
        if node in self.stored:
            return self.stored[node]
        if node not in self._values:
            # an operator that overwrites its input must not change the module, so it works on a copy
            get = (lambda source: self.value(source).clone()) if _overwrites(node.target) else self.value
            args, kwargs = fx.node.map_arg(node.args, get), fx.node.map_arg(node.kwargs, get)
            self._values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        return self._values[node]

    def sources(self, node: fx.Node) -> list[str]:
        """The names of the tensors from which `node` is computed, the first first."""
        if node in self.names:
            return [self.names[node]]
        return list(dict.fromkeys(name for source in node.all_input_nodes for name in self.sources(source)))

    def is_needed(self, node: fx.Node) -> bool:
        """Whether something that depends on the images, or the output, reads `node`; all nodes must have been followed."""
        return any(user not in self.nodes for user in node.users)

    def is_only_use(self, node: fx.Node, name: str) -> bool:
        """Whether the tensor `name` of the module is read for the sake of `node` alone."""
        if node in self.stored and len(node.users) > 1:
            return False
        return all(
            self._serves(user, node) for owner, each in self.names.items() if each == name for user in owner.users
        )

    def _serves(self, reader: fx.Node, node: fx.Node) -> bool:
        """Whether `reader` is `node` or its reader, or computes only what `node` reads."""
        if reader is node or node in reader.all_input_nodes:
            return True
        return reader in self.nodes and all(self._serves(user, node) for user in reader.users)


def _is_random(target: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())


def _overwrites(target: Any) -> bool:
    schema = getattr(target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)
