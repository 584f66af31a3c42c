"""The graph: a network as a list of operations with static shapes, and the tensors that they refer to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Self

from torch import Tensor

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.numerics import Numerics
from pocketcnn.graph.ops import OPS, GraphError, Op, require

MAX_RANK = 6
MAX_ELEMENTS = 2**31
"""Largest number of elements of one value for one image; efficient networks need about 10^6."""


@dataclass(frozen=True)
class Graph:
    """A captured network.

    `nodes` are in topological order; the first is the only ``input``, and `output` names the node whose
    value is the network's output. `tensors` maps names, as in the source's `state_dict`, to values.
    `buffers` names tensors that are not trained although their role is trainable (a fixed blur kernel, a mean to subtract).
    A graph is immutable: passes return a new one.
    """

    nodes: tuple[Node, ...]
    output: str
    tensors: Mapping[str, Tensor]
    numerics: Numerics = field(default_factory=Numerics)
    buffers: frozenset[str] = frozenset()

    @property
    def input_shape(self) -> Shape:
        """(C, H, W) of one image."""
        return self.nodes[0].shape

    @property
    def output_shape(self) -> Shape:
        """Shape of the output for one image, (classes,) for a classifier."""
        return self[self.output].shape

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _users(self) -> dict[str, tuple[Node, ...]]:
        users: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                users[name].append(node)
        return {name: tuple(nodes) for name, nodes in users.items()}

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def users(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the value `name`, in topological order."""
        return self._users[name]

    def input_shapes(self, node: Node) -> list[Shape]:
        """Shapes of the inputs of `node`, per image."""
        return [self[name].shape for name in node.inputs]

    def tensor_shapes(self, node: Node) -> dict[str, Shape]:
        """Shapes of the tensors of `node`, by role."""
        return {role: tuple(self.tensors[name].shape) for role, name in node.tensors.items()}

    def node_tensors(self, node: Node) -> dict[str, Tensor]:
        """The tensors of `node`, by role."""
        return {role: self.tensors[name] for role, name in node.tensors.items()}

    def madds(self, node: Node) -> int:
        """Multiply-adds of `node` for one image."""
        return OPS[node.op].madds(node, self.input_shapes(node), self.tensor_shapes(node))

    def rebuilt(
        self,
        nodes: Iterable[Node] | None = None,
        *,
        output: str | None = None,
        tensors: Mapping[str, Tensor] | None = None,
        numerics: Numerics | None = None,
    ) -> Self:
        """A copy with the given parts replaced: shapes are inferred again, and unused nodes and tensors are removed."""
        draft = replace(
            self,
            nodes=self.nodes if nodes is None else tuple(nodes),
            output=self.output if output is None else output,
            tensors=self.tensors if tensors is None else tensors,
            numerics=self.numerics if numerics is None else numerics,
        )
        live = _live(draft.nodes, draft.output)
        kept = tuple(node for node in draft.nodes if node.name in live)
        named = {name for node in kept for name in node.tensors.values()}
        weights = {name: fmt for name, fmt in draft.numerics.weights.items() if name in named}
        activations = {name: fmt for name, fmt in draft.numerics.activations.items() if name in live}
        named |= {fmt.scale for fmt in weights.values()}
        graph = replace(
            draft,
            nodes=kept,
            tensors={name: tensor for name, tensor in draft.tensors.items() if name in named},
            numerics=Numerics(activations=activations, weights=weights),
            buffers=self.buffers & named,
        )
        return replace(graph, nodes=infer_shapes(graph.nodes, graph.tensors))


def _live(nodes: Sequence[Node], output: str) -> set[str]:
    live = {output, nodes[0].name}
    for node in reversed(nodes):
        if node.name in live:
            live.update(node.inputs)
    return live


def infer_shapes(nodes: Iterable[Node], tensors: Mapping[str, Tensor]) -> tuple[Node, ...]:
    """Validate every node and infer its shape from its inputs and tensors; the input node keeps its own shape.

    Raises:
        GraphError: an unknown operation, an attribute or tensor that is missing or has the wrong type, a value that is read
            before it is computed, a name used twice, or incompatible shapes.
    """
    shapes: dict[str, Shape] = {}
    inferred: list[Node] = []
    for node in nodes:
        op = OPS.get(node.op)
        if op is None:
            raise GraphError(f"Node {node.name!r}: there is no operation {node.op!r}.")
        require(node.name not in shapes, node, "an earlier node has the same name")
        require((node.op == "input") == (not inferred), node, "the first node must be the input, and no other")
        _check_parts(node, op, shapes, tensors)
        if inferred:
            by_role = {role: tuple(tensors[name].shape) for role, name in node.tensors.items()}
            node = replace(node, shape=op.shape(node, [shapes[name] for name in node.inputs], by_role))
        _check_shape(node)
        shapes[node.name] = node.shape
        inferred.append(node)
    return tuple(inferred)


def _check_shape(node: Node) -> None:
    """Limit the size of a value, so that an untrusted file cannot exhaust the memory."""
    rank = len(node.shape)
    require(1 <= rank <= MAX_RANK, node, f"its value has {rank} axes besides the batch; 1 to {MAX_RANK} are supported")
    require(all(size >= 1 for size in node.shape), node, f"its shape {node.shape} is empty")
    require(prod(node.shape) <= MAX_ELEMENTS, node, f"a value of shape {node.shape} is too large")


def _check_parts(node: Node, op: Op, shapes: Mapping[str, Shape], tensors: Mapping[str, Tensor]) -> None:
    wrong = f"it has {len(node.inputs)} inputs instead of {op.arity or 'at least one'}"
    require(len(node.inputs) == op.arity if op.arity is not None else len(node.inputs) >= 1, node, wrong)
    for name in node.inputs:
        require(name in shapes, node, f"it reads {name!r}, which no earlier node computes")
    require(
        set(node.attrs) == set(op.attrs), node, f"its attributes are {sorted(node.attrs)} instead of {sorted(op.attrs)}"
    )
    for name, kind in op.attrs.items():
        require(kind.accepts(node.attrs[name]), node, f"{name} is {node.attrs[name]!r}; it must be {kind.value}")
    missing = set(op.tensors) - set(node.tensors)
    unknown = set(node.tensors) - set(op.tensors) - set(op.optional)
    require(not missing, node, f"it has no tensor for {', '.join(sorted(missing))}")
    require(not unknown, node, f"it takes no tensor as {', '.join(sorted(unknown))}")
    for role, name in node.tensors.items():
        require(name in tensors, node, f"its {role}, the tensor {name!r}, is missing")
