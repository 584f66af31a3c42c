"""Translation of a traced or exported program into a graph, operator by operator.

The caller passes the table of translation rules; a rule calls the methods of `Builder`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn

from pocketcnn.graph.capture.aliasing import Memory
from pocketcnn.graph.capture.compositions import compositions
from pocketcnn.graph.capture.constant_folding import Constants
from pocketcnn.graph.capture.exporting import BATCH, CaptureError
from pocketcnn.graph.capture.tracing import Program
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Attr, Node, Shape
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.passes.recognise import recognise

COPIES = ("alias", "contiguous", "clone", "detach", "to", "lift_fresh_copy", "_to_copy")
RESHAPES = ("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "_unsafe_view")
"""ATen operators whose result has the values of their argument in the same order: of a parameter it is that parameter."""

Value = str | tuple[str, ...] | None
"""The translation of an exported value: a node's name, a tuple of names (chunk, split), or None (an unused output)."""


@dataclass
class Builder:
    """Builds a graph from an exported program; `rules` maps the name of an exported operator to its translation rule."""

    module: nn.Module
    program: torch.export.ExportedProgram | Program
    rules: "Rules"
    nodes: list[Node] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    exported_shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[fx.Node, Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    tensor_of: dict[fx.Node, str] = field(default_factory=dict)
    constants: dict[tuple[str, Shape], str] = field(default_factory=dict)
    current: fx.Node | None = None
    made: set[str] = field(default_factory=set)
    """Names of tensors that are computed from those of the module."""
    fixed: set[str] = field(default_factory=set)
    """Names of those that are computed from no parameter."""
    folded: Constants = field(init=False)

    def __post_init__(self) -> None:
        signature = self.program.graph_signature
        owners = [node for node in self.program.graph.nodes if node.op == "placeholder" and self._owner(node)]
        names = {node: str(self._owner(node)) for node in owners}
        values = {node: self._stored(name) for node, name in names.items()}
        stored = {node: value.detach() for node, value in values.items() if isinstance(value, Tensor)}
        self.folded = Constants(stored, names, frozenset(signature.inputs_to_parameters.values()))
        for node in self.program.graph.nodes:
            self.folded.follow(node)

    def graph(self) -> Graph:
        """Translate the whole program."""
        output: str | None = None
        memory = Memory()
        composed = compositions(self.program.graph)
        inside = frozenset[fx.Node]().union(*(composition.inside for composition in composed.values()))
        for node in self.program.graph.nodes:
            self.current = node
            if memory.overwritten(node):
                self.fail("it reads a tensor modified through a view, as by `x[:, :2] += 1`; use a new tensor instead")
            memory.follow(node)
            if node in inside:
                continue
            if node.op == "placeholder":
                self._placeholder(node)
            elif self._is_expression(node):
                self._fold(node)
            elif node in composed:
                whole = composed[node]
                self._record(node, self.add(whole.op, self.value(whole.source), tensors=None, **whole.attrs))
            elif node.op == "call_function":
                rule = self.rules.get(rule_name(node.target))
                if rule is None:
                    self.fail("the graph has no operation for it")
                self._record(node, rule(self))
            elif node.op == "output":
                output = self._output(node)
        if output is None:
            raise CaptureError("The network returns nothing.")
        graph = Graph(tuple(self.nodes), output, self.tensors, buffers=self._buffers()).rebuilt()
        self._check_shapes(graph)
        return recognise(graph)

    def _buffers(self) -> frozenset[str]:
        """Tensors in trainable roles (such as a weight) that the source registers as buffers."""
        signature = self.program.graph_signature
        fixed = {*signature.buffers, *signature.lifted_tensor_constants, *self.fixed}
        trained = {
            node.tensors[role] for node in self.nodes for role in node.tensors if role not in OPS[node.op].buffers
        }
        return frozenset(name for name in fixed & trained if self.tensors[name].is_floating_point())

    def _record(self, node: fx.Node, value: Value) -> None:
        self.values[node] = value
        if isinstance(value, str):
            self.exported_shapes.setdefault(value, self.shape(node))  # the first is the one that computes it

    def _check_shapes(self, graph: Graph) -> None:
        """Check that the graph's shape inference agrees with the exporter's shapes."""
        for node in graph.nodes:
            exported = self.exported_shapes.get(node.name, node.shape)
            if exported != node.shape:
                raise CaptureError(
                    f"Node {node.name!r} ({node.op}): the exported shape is {exported}, the inferred shape {node.shape}."
                )

    def _owner(self, node: fx.Node) -> str | None:
        """The name of the tensor of the module that a placeholder stands for; None for the image."""
        signature = self.program.graph_signature
        return (
            signature.inputs_to_parameters.get(node.name)
            or signature.inputs_to_buffers.get(node.name)
            or signature.inputs_to_lifted_tensor_constants.get(node.name)
        )

    def _stored(self, name: str) -> Any:
        return self.program.state_dict.get(name, self.program.constants.get(name))

    def _is_expression(self, node: fx.Node) -> bool:
        """Whether `node` is computed from parameters alone, and is more than another view of one."""
        if node.op != "call_function" or node not in self.folded.nodes:
            return False
        is_view = rule_name(node.target).removeprefix("aten.") in (*COPIES, *RESHAPES)
        return not (is_view and node.args[0] in self.tensor_of)

    def _fold(self, node: fx.Node) -> None:
        """Compute an expression of parameters, if something else than such an expression reads it."""
        if not self.folded.is_needed(node):
            return
        self.tensor_of[node] = self._derive(node, self.folded.value(node))

    def _derive(self, node: fx.Node, value: Tensor) -> str:
        """Store a tensor that is computed from parameters alone, and return its name: that of its first parameter if free."""
        sources = self.folded.sources(node)
        trained = [name for name in sources if name in self.folded.trained]
        name = (trained or sources or ["constant"])[0]
        alone = name in sources and name not in self.made and self.folded.is_only_use(node, name)
        while not alone and (name in self.tensors or name in self.made):
            name += "_"
        self.tensors[name] = value
        self.made.add(name)
        if not trained:
            self.fixed.add(name)
        return name

    def _placeholder(self, node: fx.Node) -> None:
        name = self._owner(node)
        if name is not None:
            stored = self._stored(name)
            if not isinstance(stored, Tensor):
                self.fail(f"the tensor {name!r} has no value")
            self.tensor_of[node] = name
            self.tensors[name] = stored.detach()
        elif self.nodes:
            self.fail("the network has more than one input; exactly one is supported")
        else:
            self._append(Node("input", "input", (), self.shape(node)))
            self.values[node] = "input"

    def _output(self, node: fx.Node) -> str:
        results = [item for item in _flatten(node.args) if item is not None]
        mutated = set(self.program.graph_signature.buffers_to_mutate)
        results = [item for item in results if item.name not in mutated]
        if len(results) != 1:
            raise CaptureError(f"The network returns {len(results)} values; it must return one tensor.")
        if results[0] not in self.values:
            raise CaptureError("The network's output does not depend on its input.")
        return self.value(results[0])

    # Methods for rules ----------------------------------------------------------------------------------------

    def add(self, op: str, *inputs: str, tensors: Mapping[str, str | None] | None = None, **attrs: Attr) -> str:
        """Append a node and return its name. Roles whose tensor is None are omitted; the shape is inferred later."""
        named = {role: tensor for role, tensor in (tensors or {}).items() if tensor is not None}
        return self._append(Node(self._fresh_name(op), op, inputs, (), attrs, named))

    def arguments(self) -> dict[str, Any]:
        """The arguments of the exported operator by the names in its schema, with defaults filled in."""
        node = self.fx_node()
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        given = dict(zip((argument.name for argument in schema), node.args, strict=False))
        defaults = {argument.name: argument.default_value for argument in schema}
        return {**defaults, **given, **node.kwargs}

    def fx_node(self) -> fx.Node:
        """The exported node that is being translated."""
        if self.current is None:
            raise CaptureError("No exported node is being translated.")
        return self.current

    def value(self, argument: Any) -> str:
        """The name of the node for an argument; a parameter that is used as a value becomes a constant node."""
        if argument in self.tensor_of:
            return self._constant(argument)
        found = self.values.get(argument)
        if not isinstance(found, str):
            self.fail(f"{argument} is not a tensor computed from the input")
        return found

    def tensor(self, argument: Any) -> str:
        """The name of the parameter or buffer that an argument refers to."""
        if argument not in self.tensor_of:
            self.fail(f"{argument} is computed, but must be a parameter or buffer")
        name = self.tensor_of[argument]
        if _full_shape(argument) != tuple(self.tensors[name].shape):
            name = self.tensor_of[argument] = self._derive(argument, self.folded.value(argument))
        return name

    def derived(self, argument: Any, arrange: Callable[[Tensor], Tensor]) -> str:
        """The name of a parameter that an operation of the graph needs in another arrangement."""
        return self._derive(argument, arrange(self.tensors[self.tensor(argument)]))

    def optional_tensor(self, argument: Any) -> str | None:
        """The name of the parameter or buffer that an argument refers to; None if the argument is None."""
        return None if argument is None else self.tensor(argument)

    def shape(self, argument: fx.Node) -> Shape:
        """The shape of an exported value, without its batch axis."""
        full = _full_shape(argument)
        if not full or full[0] != BATCH:
            self.fail(f"its result has shape {full} for a batch of {BATCH} images: it mixes the images of a batch")
        return full[1:]

    def axis(self, axis: int, rank: int) -> int:
        """An axis of a tensor with batch axis, as the axis of one image."""
        positive = axis % (rank + 1)
        if positive == 0:
            self.fail("it operates along the batch axis")
        return positive - 1

    def fail(self, problem: str) -> NoReturn:
        """Raise a `CaptureError` that names the module, the source line and the operator.

        Raises:
            CaptureError: always.
        """
        node = self.fx_node()
        path, kind = _module_of(node)
        where = f"module {path!r} ({kind})" if path else f"the network itself ({type(self.module).__name__})"
        what = node.target if node.op == "call_function" else node.name
        raise CaptureError(
            f"Cannot capture {what} in {where}, {_source_line(node)}: {problem}. "
            "Rewrite that part of the network with operations of `pocketcnn.graph.ops`, or add the operation there."
        )

    def _append(self, node: Node) -> str:
        self.nodes.append(node)
        self.names.add(node.name)
        return node.name

    def _constant(self, argument: fx.Node) -> str:
        """A parameter or buffer as a constant node, with as many axes as the result that it is broadcast to."""
        name = self.tensor_of[argument]
        rank = len(self.shape(self.fx_node()))
        full = _full_shape(argument)
        shape = full[1:] if len(full) == rank + 1 and full[0] == 1 else (1,) * (rank - len(full)) + full
        if (name, shape) not in self.constants:
            node = Node(self._unused(f"{name}/constant"), "constant", (), shape, {"shape": shape}, {"value": name})
            self.constants[name, shape] = self._append(node)
        return self.constants[name, shape]

    def _fresh_name(self, op: str) -> str:
        path, _ = _module_of(self.fx_node())
        leaf = bool(path) and not any(True for _ in _submodule(self.module, path).children())
        name = path if leaf else f"{path}/{op}" if path else op
        return self._unused(name)

    def _unused(self, name: str) -> str:
        count, fresh = 2, name
        while fresh in self.names:
            fresh = f"{name}#{count}"
            count += 1
        return fresh


Rule = Callable[[Builder], Value]
Rules = Mapping[str, Rule]
"""Name of an exported operator, see `rule_name` -> its translation rule."""


def _full_shape(argument: fx.Node) -> Shape:
    """The full shape of an exported value, including the batch axis if it has one."""
    return tuple(int(size) for size in argument.meta["val"].shape)


def _submodule(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return nn.Module()


def _module_of(node: fx.Node) -> tuple[str, str]:
    """Path and class of the innermost module that an exported node comes from."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else kind.__name__
    return str(path).split("@")[0], name.rpartition(".")[2]


def _source_line(node: fx.Node) -> str:
    frames = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip()]
    places = [(i, line) for i, line in enumerate(frames) if line.startswith("File ")]
    if not places:
        return "unknown line"
    index, place = places[-1]
    code = frames[index + 1] if index + 1 < len(frames) else ""
    file, _, rest = place.removeprefix("File ").partition(", line ")
    return f"{file.strip(chr(34))}:{rest.split(',')[0]} `{code}`"


def rule_name(target: Any) -> str:
    """The name of an exported target in the table of rules: without the overload and the in-place suffix ``_``."""
    parts = str(target).split(".")
    return f"{parts[0]}.{parts[1].rstrip('_')}" if len(parts) > 1 else str(target)


def _flatten(item: Any) -> list[Any]:
    if isinstance(item, list | tuple):
        return [leaf for part in item for leaf in _flatten(part)]
    return [item]
