"""Fast tracing: one forward pass on the meta device, with the dispatched operators recorded as `torch.export` would.

The exporter takes 1 s or more, mostly for features that image classifiers do not need (symbolic shapes, guards, Python byte
code analysis). Here the module runs once on tensors of the ``meta`` device, which have shapes but no values. A dispatch mode
records every operator at the level of the exporter's graph: before autograd, with convolution, batch norm and dropout not
decomposed. Unusual cases (a constant created in `forward`, a module or tensor under two names, control flow that depends
on values) are left to the exporter, which also gives the error message.
"""

import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
from torch.utils._python_dispatch import TorchDispatchMode

from pocketcnn.graph.capture.tracing_shapes import RESULT_SHAPES
from pocketcnn.graph.node import Shape


@dataclass
class Signature:
    """The inputs of a traced graph, with the attribute names of `torch.export`'s graph signature."""

    inputs_to_parameters: dict[str, str] = field(default_factory=dict)
    inputs_to_buffers: dict[str, str] = field(default_factory=dict)
    inputs_to_lifted_tensor_constants: dict[str, str] = field(default_factory=dict)
    buffers: list[str] = field(default_factory=list)
    lifted_tensor_constants: list[str] = field(default_factory=list)
    buffers_to_mutate: dict[str, str] = field(default_factory=dict)


@dataclass
class Program:
    """The part of `torch.export.ExportedProgram` from which the graph is built."""

    graph: fx.Graph
    graph_signature: Signature
    state_dict: Mapping[str, Tensor]
    constants: Mapping[str, Tensor] = field(default_factory=dict)


class Untraceable(Exception):
    """The fast trace does not support the module; the exporter is used instead."""


def trace(module: nn.Module, image: Shape, batch: int) -> Program | None:
    """The operators of `module`, which must be in eval mode, for `batch` images; None where the exporter must be used.

    The module is not modified, and the values of its tensors are not read.
    """
    try:
        return _traced(module, image, batch)
    except Exception:  # it uses private APIs of torch and may fail: the exporter then decides and reports the error
        return None


def _traced(module: nn.Module, image: Shape, batch: int) -> Program:
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    _require_one_name_each(module, state)
    empty = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    dtype = next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), torch.float32)
    example = torch.empty(batch, *image, device="meta", dtype=dtype)
    recorder = _Recorder(module)
    recorder.placeholders(empty, example, {name for name, _ in module.named_parameters()})
    with (
        _module_calls(recorder),
        torch.no_grad(),
        torch._C._EnablePythonDispatcher(),
        torch._C._EnablePreDispatch(),
        recorder,
    ):
        answer = torch.func.functional_call(module, empty, (example,))
    if not isinstance(answer, Tensor):
        raise Untraceable("several outputs")
    recorder.graph.output((recorder.node_of(answer),))
    return Program(recorder.graph, recorder.signature, state)


def _require_one_name_each(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    modules = sum(1 for _ in module.named_modules(remove_duplicate=False))
    tensors = sum(1 for _ in module.named_parameters(remove_duplicate=False))
    tensors += sum(1 for _ in module.named_buffers(remove_duplicate=False))
    if modules != sum(1 for _ in module.modules()) or tensors != len(state):
        raise Untraceable("a module or tensor has two names")


class _Recorder(ProxyTorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operator that is applied to a value computed from the input."""

    def __init__(self, module: nn.Module) -> None:
        TorchDispatchMode.__init__(self, torch._C.DispatchKey.PreDispatch)  # type: ignore[no-untyped-call]
        self._mode_key = torch._C._TorchDispatchModeKey.PROXY  # the mode that is active at this dispatch key
        self.enter_stack: list[Any] = []
        self.graph, self.signature = fx.Graph(), Signature()
        self.path_of = {each: name for name, each in module.named_modules()}
        self.stack: list[nn.Module] = []
        self._nodes: dict[int, fx.Node] = {}
        self._kept: list[Tensor] = []  # references, so that no id is reused

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """True would make torch import its compiler only to disable it."""
        return False

    def placeholders(self, state: Mapping[str, Tensor], example: Tensor, parameters: set[str]) -> None:
        """Add the inputs of the graph: the tensors of the module, then the image."""
        for number, (name, tensor) in enumerate(state.items()):
            node = self._note(self.graph.placeholder(f"state_{number}"), tensor)
            owner = self.signature.inputs_to_parameters if name in parameters else self.signature.inputs_to_buffers
            owner[node.name] = name
            if name not in parameters:
                self.signature.buffers.append(name)
        self._state = {id(tensor) for tensor in self._kept}
        self._note(self.graph.placeholder("image"), example)

    def node_of(self, tensor: Tensor) -> fx.Node:
        """The node that computed `tensor`.

        Raises:
            Untraceable: the tensor does not come from the image or from the module.
        """
        if id(tensor) not in self._nodes:
            raise Untraceable("a constant created during the forward pass")
        return self._nodes[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        shape = RESULT_SHAPES.get(func)
        if shape is not None:
            result = args[0] if _writes_first(func) else _like(args[0], shape(args, kwargs))
        else:
            result = func(*args, **kwargs)
            if (
                args and result is args[0] and not _writes_first(func)
            ):  # identity in eval mode: a new value all the same
                result = torch.ops.aten.alias.default(result)
        given = [item for item in _leaves((args, kwargs)) if isinstance(item, Tensor)]
        if given and not isinstance(result, torch.Size | bool | int | float | torch.device | torch.dtype | str):
            node = self.graph.call_function(func, self._as_nodes(tuple(args)), self._as_nodes(dict(kwargs)))
            node.meta["nn_module_stack"] = (
                {"": (self.path_of[self.stack[-1]], type(self.stack[-1]))} if self.stack else {}
            )
            self._note_results(node, result)
            if func._schema.is_mutable and (not _writes_first(func) or id(given[0]) in self._state):
                raise Untraceable("an output argument or a tensor of the module is overwritten")
        return result

    def _as_nodes(self, item: Any) -> Any:
        if isinstance(item, Tensor):
            return self.node_of(item)
        if isinstance(item, tuple | list):
            return type(item)(self._as_nodes(part) for part in item)
        if isinstance(item, dict):
            return {key: self._as_nodes(part) for key, part in item.items()}
        return item

    def _note_results(self, node: fx.Node, result: Any) -> None:
        if isinstance(result, Tensor):
            self._note(node, result)
        elif isinstance(result, tuple | list):
            node.meta["val"] = result
            for index, part in enumerate(result):
                if isinstance(part, Tensor):
                    item = self.graph.call_function(operator.getitem, (node, index))
                    item.meta["nn_module_stack"] = node.meta["nn_module_stack"]
                    self._note(item, part)

    def _note(self, node: fx.Node, tensor: Tensor) -> fx.Node:
        node.meta["val"] = tensor
        self._nodes[id(tensor)] = node
        self._kept.append(tensor)
        return node


def _writes_first(func: Any) -> bool:
    """Whether an operator is an in-place variant (``relu_``): it overwrites and returns its first argument."""
    return bool(func._schema.is_mutable and func.name().partition(".")[0].endswith("_"))


def _like(example: Any, shape: Shape) -> Tensor:
    tensor: Tensor = example if isinstance(example, Tensor) else example[0]
    return tensor.new_empty(shape)


@contextmanager
def _module_calls(recorder: _Recorder) -> Iterator[None]:
    """Maintain the stack of modules whose `forward` is running."""
    hooks = torch.nn.modules.module

    def enter(module: nn.Module, _: Any) -> None:
        recorder.stack.append(module)

    def leave(module: nn.Module, _: Any, __: Any) -> None:
        recorder.stack.pop()

    handles = [hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _leaves(item: Any) -> Iterator[Any]:
    if isinstance(item, tuple | list):
        for part in item:
            yield from _leaves(part)
    elif isinstance(item, dict):
        yield from _leaves(list(item.values()))
    else:
        yield item
