# ruff: noqa: ARG001  (the rules of a table share one signature)
"""How each operation of the IR passes the channel labels of its inputs to its output.

`Op.channels` says which rule an operation has. A rule may move labels, join them, or freeze them if it cannot prove more. An
operation without a rule freezes everything that it reads, and is named as the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from pocketcnn.compression.coupling.classes import Labels
from pocketcnn.compression.coupling.trace import Trace
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.facts import ChannelRule
from pocketcnn.graph.ops.layout import shuffle_order

Rule = Callable[[Trace, Node, Sequence[Labels]], Labels]


def follow(trace: Trace, node: Node) -> Labels:
    """The labels of the output of `node`, varying along at most one axis."""
    inputs = [trace.values[name] for name in node.inputs]
    return one_axis(trace, RULES[OPS[node.op].channels](trace, node, inputs))


def one_axis(trace: Trace, labels: Labels) -> Labels:
    """Join labels until they vary along one axis only, the longest, so that removal leaves a regular array.

    For channels viewed as (G, C/G), this couples the channels at the same position of all groups.
    """
    sets = trace.classes.find(labels)
    for axis in range(labels.ndim):
        if (sets == sets.take([0], axis=axis)).all():
            labels, sets = labels.take([0], axis=axis), sets.take([0], axis=axis)
    varying = [axis for axis, size in enumerate(labels.shape) if size > 1]
    for axis in sorted(varying, key=lambda axis: labels.shape[axis])[:-1]:
        labels = trace.classes.unite_along(labels, axis)
    return labels


def _unknown(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    reason = f"pruning has no rule for {node.op} ({node.name})"
    for labels in inputs:
        trace.classes.freeze(labels, reason)
    return trace.fixed(len(node.shape), reason)


def _input(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    return trace.fixed(len(node.shape), "it reads the network's input")


def _same(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """Element-wise: each output element depends on the input element at the same position."""
    return inputs[0]


def _spatial(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """Each output channel depends on the same input channel: pooling, padding, upsampling."""
    channels = trace.channels(inputs[0], node.shape[0])
    return _map(channels, node)


def _map(channels: Labels, node: Node) -> Labels:
    return channels.reshape(-1, *(1,) * (len(node.shape) - 1))


def _conv2d(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    channels = trace.graph.input_shapes(node)[0][0]
    return _map(trace.layer(node, node.integer("groups"), trace.channels(inputs[0], channels)), node)


def _linear(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    features = trace.graph.input_shapes(node)[0][0]
    return trace.layer(node, 1, trace.channels(inputs[0], features))


def _per_channel(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """Batch normalization and PReLU: tensors with one entry per channel are sliced with the channels."""
    channels = trace.channels(inputs[0], node.shape[0])
    for role, shape in trace.graph.tensor_shapes(node).items():
        if shape == node.shape[:1]:
            trace.vector(node, role, channels)
    return _map(channels, node)


def _binary(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """Elements at the same position are coupled. A value that is broadcast over channels has one channel, which is kept."""
    for axis, (first, second) in enumerate(zip(*trace.graph.input_shapes(node), strict=True)):
        long, short = inputs if first > second else inputs[::-1]
        if first != second and long.shape[axis] > 1:
            return long if short.size == 1 else _unknown(trace, node, inputs)
    trace.classes.unite(inputs[0], inputs[1])
    return np.broadcast_arrays(*inputs)[0]


def _constant(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """A constant with one entry or map per channel is sliced like a tensor; constants of other shapes are kept whole."""
    shape = node.ints("shape")
    if len(shape) not in (1, 3) or shape[0] == 1:
        return trace.fixed(len(shape), f"{node.name} is a constant without channels")
    channels = trace.classes.fresh(shape[0])
    trace.vector(node, "value", channels)
    return _map(channels, node)


def _reduce(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """A mean or sum needs all of the axis that it reduces, or none of it."""
    labels, axes = inputs[0], node.ints("axes")
    for axis in axes:
        labels = trace.classes.unite_along(labels, axis)
    return labels if node.flag("keepdim") else labels.squeeze(axes)


def _softmax(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    return trace.classes.unite_along(inputs[0], node.integer("axis"))


def _concat(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    axis = node.integer("axis")
    if axis > 0 and all(labels.shape[axis] == 1 for labels in inputs):
        for labels in inputs[1:]:
            trace.classes.unite(inputs[0], labels)
        return np.broadcast_arrays(*inputs)[0]
    rest = np.broadcast_shapes(*(_without(labels.shape, axis) for labels in inputs))
    sizes = [shape[axis] for shape in trace.graph.input_shapes(node)]
    whole = [
        np.broadcast_to(labels, (*rest[:axis], size, *rest[axis:])) for labels, size in zip(inputs, sizes, strict=True)
    ]
    return np.concatenate(whole, axis=axis)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _slice(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    labels, axis = inputs[0], node.integer("axis")
    if labels.shape[axis] == 1:
        return labels
    if axis > 0 and node.integer("step") > 1:
        return _unknown(trace, node, inputs)
    return labels.take(range(node.integer("start"), node.integer("stop"), node.integer("step")), axis=axis)


def _channel_shuffle(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    channels = trace.channels(inputs[0], node.shape[0])
    return _map(channels[shuffle_order(node.shape[0], node.integer("groups"))], node)


def _gather(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    channels = trace.channels(inputs[0], trace.graph.input_shapes(node)[0][0])
    return _map(channels[trace.graph.tensors[node.tensors["index"]].cpu().numpy()], node)


def _local_response_norm(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    """Each channel depends on its neighbours, and removing one would give others new neighbours: all are frozen."""
    trace.classes.freeze(inputs[0], f"each channel depends on its neighbours in {node.op} ({node.name})")
    return inputs[0]


def _roll(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    return _unknown(trace, node, inputs) if 0 in node.ints("axes") else _spatial(trace, node, inputs)


def _reshape(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    return np.broadcast_to(inputs[0], trace.graph.input_shapes(node)[0]).reshape(node.ints("shape"))


def _permute(trace: Trace, node: Node, inputs: Sequence[Labels]) -> Labels:
    return inputs[0].transpose(node.ints("order"))


RULES: Mapping[ChannelRule, Rule] = MappingProxyType(
    {
        ChannelRule.INPUT: _input,
        ChannelRule.CONSTANT: _constant,
        ChannelRule.ELEMENTWISE: _same,
        ChannelRule.WITHIN_CHANNEL: _spatial,
        ChannelRule.PER_CHANNEL: _per_channel,
        ChannelRule.BROADCAST: _binary,
        ChannelRule.CONVOLUTION: _conv2d,
        ChannelRule.LINEAR: _linear,
        ChannelRule.REDUCES: _reduce,
        ChannelRule.MIXES_AXIS: _softmax,
        ChannelRule.READS_NEIGHBOURS: _local_response_norm,
        ChannelRule.CONCATENATES: _concat,
        ChannelRule.SLICES: _slice,
        ChannelRule.SHUFFLES: _channel_shuffle,
        ChannelRule.GATHERS: _gather,
        ChannelRule.ROLLS: _roll,
        ChannelRule.RESHAPES: _reshape,
        ChannelRule.PERMUTES: _permute,
        ChannelRule.UNKNOWN: _unknown,
    }
)
