"""Removal of channels: tensors are sliced and operations rewritten. Masking computes the same function for comparison."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from pocketcnn.compression.coupling.classes import Labels, Mask
from pocketcnn.compression.coupling.coupling import Coupling, couple
from pocketcnn.compression.coupling.trace import Layer
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Attr, Node, Shape
from pocketcnn.graph.ops import GraphError
from pocketcnn.graph.ops.layout import shuffle_order


def mask(graph: Graph, classes: Iterable[int], coupling: Coupling | None = None) -> Graph:
    """`graph` with the channels of `classes` read as zero by every convolution and linear layer.

    The weight columns that read these channels are set to zero. This defines "without these channels" for every network.
    Zeroing the weights that produce a channel would not be enough: batch normalization, a gate or an activation with f(0) !=
    0 can turn zero into another value.

    Raises:
        UsageError: a class is frozen, or the graph is quantized.
    """
    coupling = coupling or couple(graph)
    left = coupling.kept_mask(classes)
    tensors = dict(graph.tensors)
    for layer in coupling.layers:
        weight = graph.tensors[layer.weight]
        kept = torch.from_numpy(left[layer.inputs]).to(weight.device)
        grouped = weight.reshape(layer.groups, -1, weight.shape[1], *weight.shape[2:])
        columns = kept.reshape(layer.groups, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
        tensors[layer.weight] = (grouped * columns).reshape(weight.shape)
    return graph.rebuilt(tensors=tensors)


def remove(graph: Graph, classes: Iterable[int], coupling: Coupling | None = None) -> Graph:
    """`graph` without the channels of `classes`. It computes the same function as `mask(graph, classes)`.

    Names are kept. A channel shuffle that is no longer regular becomes a gather.

    Args:
        graph: a float graph.
        classes: channel classes to remove.
        coupling: of `graph`; passing it saves the analysis.

    Raises:
        UsageError: a class is frozen, groups of a convolution would get unequal widths, a value would have no channels left,
            or the graph is quantized.
    """
    coupling = coupling or couple(graph)
    removal = _Removal(graph, coupling, coupling.kept_mask(classes))
    result = graph.rebuilt([removal.node(node) for node in graph.nodes], tensors=removal.tensors())
    for node in result.nodes:
        if node.shape != removal.shape(node.name):
            raise GraphError(
                f"Node {node.name!r} has shape {node.shape} after pruning, not {removal.shape(node.name)}."
            )
    return result


@dataclass
class _Removal:
    """The state of one removal: which positions of each value are kept, and the rewritten nodes and tensors."""

    graph: Graph
    coupling: Coupling
    left: Mask  # by class
    _kept: dict[str, Mask] = field(init=False)
    _indices: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._kept = {name: self.left[part.classes] for name, part in self.coupling.values.items()}
        for name, kept in self._kept.items():
            if not kept.any():
                raise UsageError(f"These channels cannot be removed together: {name!r} would have no channels left.")
        self._layers = {layer.node: layer for layer in self.coupling.layers}
        self._uses = Counter(tensor for node in self.graph.nodes for tensor in node.tensors.values())

    def kept(self, value: str, axis: int) -> Mask | None:
        """Which positions of `value` are kept along `axis`; None if it loses nothing there."""
        channels = self.coupling.values.get(value)
        if channels is None or channels.axis != axis or self._kept[value].all():
            return None
        return self._kept[value]

    def shape(self, value: str) -> Shape:
        """The shape of `value` after the removal."""
        masks = [(size, self.kept(value, axis)) for axis, size in enumerate(self.graph[value].shape)]
        return tuple(size if kept is None else int(kept.sum()) for size, kept in masks)

    def node(self, node: Node) -> Node:
        """`node`, rewritten for the remaining channels."""
        match node.op:
            case "conv2d":
                return _with(node, groups=_remaining_groups(self._layers[node.name], self.left))
            case "reshape" | "constant":
                return _with(node, shape=self.shape(node.name))
            case "shift":
                return self._shift(node)
            case "slice" | "channel_shuffle" | "gather":
                return self._select_channels(node)
        return node

    def _shift(self, node: Node) -> Node:
        kept = self.kept(node.name, 0)
        if kept is None:
            return node
        moves = {name: np.array(node.ints(name))[kept].tolist() for name in ("down", "right")}
        return _with(node, down=tuple(moves["down"]), right=tuple(moves["right"]))

    def _select_channels(self, node: Node) -> Node:
        """An operation that selects channels, rewritten for the remaining ones."""
        source, axis = node.inputs[0], node.integer("axis") if node.op == "slice" else 0
        kept = self.kept(source, axis)
        if kept is None:
            return node
        selected = self._selected(node)
        positions = (np.cumsum(kept) - 1)[selected[kept[selected]]]  # new positions of the remaining selected channels
        count = int(kept.sum())
        if node.op == "slice" and (np.diff(positions) == 1).all():
            return _with(node, start=int(positions[0]), stop=int(positions[-1]) + 1, step=1)
        if node.op == "channel_shuffle" and _is_shuffle(positions, count, node.integer("groups")):
            return node
        return self._gather(node, positions)

    def _selected(self, node: Node) -> Labels:
        """The input position of each output position of `node`."""
        if node.op == "slice":
            return np.arange(*(node.integer(name) for name in ("start", "stop", "step")))
        if node.op == "gather":
            index: Labels = self.graph.tensors[node.tensors["index"]].cpu().numpy()
            return index
        return np.array(shuffle_order(node.shape[0], node.integer("groups")))

    def _gather(self, node: Node, index: Labels) -> Node:
        name = node.tensors.get("index")
        if name is None or self._uses[name] > 1:
            name = self._fresh(f"{node.name.replace('/', '.')}.index")
        self._indices[name] = torch.from_numpy(index)
        return replace(node, op="gather", attrs={}, tensors={"index": name})

    def _fresh(self, name: str) -> str:
        taken = self.graph.tensors.keys() | self._indices.keys()
        return next(
            new for new in (name, *(f"{name}{count}" for count in range(2, len(taken) + 3))) if new not in taken
        )

    def tensors(self) -> dict[str, Tensor]:
        """All tensors after the removal; call it after the nodes were rewritten."""
        tensors = dict(self.graph.tensors)
        for layer in self.coupling.layers:
            tensors[layer.weight] = _sliced_weight(self.graph.tensors[layer.weight], layer, self.left)
        shapes = {node.tensors["value"]: node.ints("shape") for node in self.graph.nodes if node.op == "constant"}
        for name, classes in self.coupling.vectors.items():
            kept = self.left[classes]
            if not kept.all():
                tensors[name] = _select(tensors[name].reshape(shapes.get(name, tensors[name].shape)), 0, kept)
        devices = {tensor.device for tensor in tensors.values() if tensor.is_floating_point()}
        device = devices.pop() if len(devices) == 1 else torch.device("cpu")
        return tensors | {name: index.to(device) for name, index in self._indices.items()}


def _with(node: Node, **attrs: Attr) -> Node:
    return replace(node, attrs={**node.attrs, **attrs})


def _is_shuffle(positions: Labels, count: int, groups: int) -> bool:
    return count % groups == 0 and positions.tolist() == shuffle_order(count, groups)


def _select(tensor: Tensor, axis: int, kept: Mask) -> Tensor:
    if kept.all():
        return tensor
    return tensor.index_select(axis, torch.from_numpy(np.flatnonzero(kept)).to(tensor.device))


def _sides(layer: Layer, left: Mask) -> tuple[Mask, Mask]:
    """Which outputs (G, N/G) and inputs (G, C/G) of each group are kept."""
    return left[layer.outputs].reshape(layer.groups, -1), left[layer.inputs].reshape(layer.groups, -1)


def _remaining_groups(layer: Layer, left: Mask) -> int:
    return int(_sides(layer, left)[0].any(axis=1).sum())


def _sliced_weight(weight: Tensor, layer: Layer, left: Mask) -> Tensor:
    """Slice a weight (N, C/G, …) group by group; a group without remaining channels is removed."""
    rows, columns = _sides(layer, left)
    if rows.all() and columns.all():
        return weight
    remaining = rows.any(axis=1)
    _check_regular(layer, rows[remaining], columns[remaining], columns[~remaining])
    if columns[remaining].all():
        return _select(weight, 0, rows.ravel())
    blocks = weight.reshape(layer.groups, -1, *weight.shape[1:])
    kept = [_select(_select(blocks[g], 0, rows[g]), 1, columns[g]) for g in np.flatnonzero(remaining).tolist()]
    return kept[0] if len(kept) == 1 else torch.cat(kept)


def _check_regular(layer: Layer, rows: Mask, columns: Mask, orphans: Mask) -> None:
    widths = [sorted(set(side.sum(axis=1).tolist())) for side in (rows, columns)]
    if orphans.any() or any(len(width) > 1 for width in widths):
        raise UsageError(
            f"These channels cannot be removed together: the groups of {layer.node!r} would have "
            f"{' or '.join(map(str, widths[1]))} inputs and {' or '.join(map(str, widths[0]))} outputs each."
        )
