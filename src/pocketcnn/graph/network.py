"""A `Graph` as a trainable `nn.Module` with the `state_dict` keys of the source network."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph.exact import LAYERS, Exact, Layer, Sums, exact_result
from pocketcnn.graph.fake_quantize import (
    fake_quantize_activation,
    fake_quantize_bias,
    fake_quantize_weight,
    quantize_bias,
    quantize_weight,
    straight_through,
)
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.images import check_images, dtype_of
from pocketcnn.graph.info import ModelInfo
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.activation import CLIPS, clip_bounds

Observer = Callable[[Node, Tensor], Tensor | None]

MAX_DEPTH = 64
"""Largest nesting depth of modules, because torch traverses them recursively."""


class GraphNetwork(nn.Module):
    """Runs a graph, and trains it.

    The sub-modules are ordinary `nn.Conv2d`, `nn.Linear`, `nn.BatchNorm2d`, … with the names that they had in the
    source network, so optimizers, hooks and `state_dict` work as usual. If the graph is quantized, weights and
    activations are fake-quantized in every forward pass. In training mode layers accumulate in float32; in eval mode
    every value is bit-identical to that of `pocketcnn.graph.integer.IntegerNetwork`.
    """

    def __init__(self, graph: Graph, info: ModelInfo | None = None) -> None:
        super().__init__()
        self.info = info or ModelInfo()
        self._nodes = graph.nodes
        self._output = graph.output
        self._numerics = graph.numerics
        self._fixed = graph.buffers
        self._last_use = _last_uses(graph)
        self._layers = _layer_paths(graph)
        self._tensor_names = tuple(graph.tensors)
        self._observe: Observer | None = None
        for node in graph.nodes:
            if path := self._layers.get(node.name):
                build = OPS[node.op].module
                if build is not None and not _has_module(self, path):
                    _attach(self, path, build(node, graph.node_tensors(node)))
        self._attach_loose(graph)

    def _attach_loose(self, graph: Graph) -> None:
        """Attach the tensors that belong to no `torch.nn` layer: constants, index lists, scales, weights of several layers."""
        held = set(self.state_dict(keep_vars=True))
        buffers = {node.tensors[r] for node in graph.nodes for r in OPS[node.op].buffers if r in node.tensors}
        buffers |= {fmt.scale for fmt in graph.numerics.weights.values()} | graph.buffers
        for name, tensor in graph.tensors.items():
            if name not in held:
                trained = name not in buffers and tensor.is_floating_point()
                _attach_tensor(self, name, tensor.detach().clone(), trained)

    @property
    def graph(self) -> Graph:
        """The graph with the current tensors, which share memory with the parameters.

        A layer may have been replaced by another of the same type, for example with more outputs; shapes are then
        inferred again. Stride, padding and other attributes stay as captured: to change them, capture the network again.

        Raises:
            UsageError: a tensor is missing because a layer was replaced by one of another type.
        """
        state = self.state_dict()
        if missing := [name for name in self._tensor_names if name not in state]:
            raise UsageError(
                f"The network has no tensor {missing[0]!r}: a layer was replaced. Capture the network again."
            )
        tensors = {name: state[name] for name in self._tensor_names}
        return Graph(self._nodes, self._output, tensors, self._numerics, self._fixed)

    @property
    def numerics(self) -> Numerics:
        """The quantization formats; empty for a float network."""
        return self._numerics

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes) for a classifier."""
        return self.run(x, self._observe)

    @contextlib.contextmanager
    def observed(self, observe: Observer) -> Iterator[None]:
        """Within the context, every forward pass calls `observe`, see `run`."""
        self._observe = observe
        try:
            yield
        finally:
            self._observe = None

    def run(self, x: Tensor, observe: Observer | None = None) -> Tensor:
        """The forward pass, (N, C, H, W) -> (N, classes) for a classifier.

        `observe` is called with every node and its value. If it returns a tensor, that replaces the value.

        Raises:
            UsageError: the images are no tensor of the type of the weights, or not of the shape that the network was
                captured for.
        """
        check_images(x, self._nodes[0].shape, dtype_of(self))
        values: dict[str, Tensor] = {}
        sums: dict[str, Sums] = {}  # exact accumulators of values that are not quantized
        for node in self._nodes:
            inputs = [x] if node.op == "input" else [values[name] for name in node.inputs]
            exact = None if self.training or not self._numerics else self._exact(node, inputs, sums)
            values[node.name] = self._value(node, inputs, exact)
            if isinstance(exact, Sums) and node.name not in self._numerics.activations:
                sums[node.name] = exact
            if observe is not None and (seen := observe(node, values[node.name])) is not None:
                values[node.name] = seen
                sums.pop(node.name, None)
            for name in self._last_use[node.name]:
                del values[name]
                sums.pop(name, None)
        return values[self._output]

    def _value(self, node: Node, inputs: list[Tensor], exact: Exact | None) -> Tensor:
        """The (fake-quantized) value of `node`, with the gradients of the float operation."""
        fmt = self._numerics.activations.get(node.name)
        found = None
        if exact is not None:
            with torch.no_grad():
                found = (exact.real() if fmt is None else exact.stored(fmt)).to(inputs[0].dtype)
            if not torch.is_grad_enabled():
                return found
        value = inputs[0] if node.op == "input" else self._compute(node, inputs)
        value = value if fmt is None else fake_quantize_activation(value, fmt)
        return value if found is None else straight_through(value, found)

    @torch.no_grad()
    def _exact(self, node: Node, inputs: list[Tensor], sums: Mapping[str, Sums]) -> Exact | None:
        """The exact integer result of `node`; None if it computes in float32 or float32 is exact for it."""
        formats = self._numerics.activations
        if node.op in CLIPS and node.name in formats and node.inputs[0] in sums:
            return sums[node.inputs[0]].clipped(*clip_bounds(node))
        if not node.inputs or any(name not in formats for name in node.inputs):
            return None
        given = [formats[name] for name in node.inputs]
        return exact_result(node, inputs, given, self._integer_layer(node, given[0]) if node.op in LAYERS else None)

    def _integer_layer(self, node: Node, source: ActivationFormat) -> Layer | None:
        fmt = self._numerics.weights.get(node.tensors["weight"])
        if fmt is None:
            return None
        tensors = {role: _tensor(self, name) for role, name in node.tensors.items()}
        scale = _tensor(self, fmt.scale)
        bias = quantize_bias(tensors["bias"], source.scale, scale) if "bias" in tensors else None
        return Layer(quantize_weight(tensors["weight"], scale, fmt), scale, bias)

    def _compute(self, node: Node, inputs: list[Tensor]) -> Tensor:
        path = self._layers.get(node.name)
        quantized = self._numerics.weights and any(name in self._numerics.weights for name in node.tensors.values())
        if path is not None and not quantized:
            layer: Tensor = self.get_submodule(path)(*inputs)
            return layer
        tensors = {role: _tensor(self, name) for role, name in node.tensors.items()}
        if quantized:
            tensors = self._quantized(node, tensors)
        return OPS[node.op].run(node, inputs, tensors, self.training)

    def _quantized(self, node: Node, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        fmt = self._numerics.weights[node.tensors["weight"]]
        scale = _tensor(self, fmt.scale)
        result = {**tensors, "weight": fake_quantize_weight(tensors["weight"], scale, fmt)}
        source = self._numerics.activations.get(node.inputs[0])
        if "bias" in tensors and source is not None:
            result["bias"] = fake_quantize_bias(tensors["bias"], source.scale, scale)
        return result


def _last_uses(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For each node the values that are not read after it, so that memory is freed as early as on a device."""
    last: dict[str, str] = {}
    for node in graph.nodes:
        last[node.name] = node.name  # a value without readers is freed at once
        for name in node.inputs:
            last[name] = node.name
    ends: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for value, user in last.items():
        if value != graph.output:
            ends[user].append(value)
    return {name: tuple(values) for name, values in ends.items()}


def _layer_paths(graph: Graph) -> dict[str, str]:
    """Node name -> path of the `torch.nn` layer that holds its tensors.

    Conditions: the tensors are named ``path.role`` with the role names of `torch.nn`, are trained, are not shared with a
    layer at another path, and no other layer lies below that path.
    """
    paths: dict[str, str] = {}
    owners = {name.rpartition(".")[0] for name in graph.tensors}
    containers = {".".join(parts[:depth]) for parts in (o.split(".") for o in owners) for depth in range(len(parts))}
    for node in graph.nodes:
        if OPS[node.op].module is None or not node.tensors or graph.buffers & set(node.tensors.values()):
            continue
        prefixes = {name.removesuffix(f".{role}") for role, name in node.tensors.items() if name.endswith(f".{role}")}
        if len(prefixes) == 1 and all(name.endswith(f".{role}") for role, name in node.tensors.items()):
            paths[node.name] = prefixes.pop()
    paths = {name: path for name, path in paths.items() if path not in containers}
    uses = Counter((path, graph[name].op, repr(graph[name].attrs)) for name, path in paths.items())
    forms = Counter(path for path, _, _ in uses)
    return {name: path for name, path in paths.items() if forms[path] == 1}


def _container(root: nn.Module, path: str) -> nn.Module:
    parts = path.split(".") if path else []
    if len(parts) > MAX_DEPTH:
        raise UsageError(
            f"The layer {path[:60]!r}… is nested {len(parts)} modules deep; at most {MAX_DEPTH} are supported."
        )
    module = root
    for part in parts:
        child = module._modules.get(part)
        if child is None:
            child = nn.Module()
            _checked_add(module, part, child)
        module = child
    return module


def _checked_add(parent: nn.Module, name: str, child: nn.Module) -> None:
    _require_free(parent, name)
    parent.add_module(name, child)


def _require_free(parent: nn.Module, name: str) -> None:
    held = (parent.__dict__, parent._modules, parent._parameters, parent._buffers)
    if not name or hasattr(type(parent), name) or any(name in names for names in held):
        raise UsageError(
            f"A layer or tensor cannot have the name {name!r}, which is an attribute of `nn.Module`. Rename the layer."
        )


def _has_module(root: nn.Module, path: str) -> bool:
    module: nn.Module | None = root
    for part in path.split("."):
        module = module._modules.get(part) if module is not None else None
    return module is not None


def _attach(root: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    _checked_add(_container(root, parent), name, layer)


def _attach_tensor(root: nn.Module, name: str, tensor: Tensor, trained: bool) -> None:
    path, _, leaf = name.rpartition(".")
    owner = _container(root, path)
    _require_free(owner, leaf)
    if trained:
        owner.register_parameter(leaf, nn.Parameter(tensor))
    else:
        owner.register_buffer(leaf, tensor)


def _tensor(root: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    found: Tensor = getattr(root.get_submodule(path), leaf)
    return found


def predictions(network: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """Logits (N, classes) of `images` (N, C, H, W), computed in eval mode; the network's mode is restored afterwards."""
    if not isinstance(images, Tensor):
        raise UsageError(f"The network takes a tensor of images, not a {type(images).__name__}.")
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            return torch.cat([network(batch) for batch in torch.split(images, batch_size)])
    finally:
        network.train(training)
