"""Activations in ncnn, as separate layers or fused into a convolution or linear layer."""

from pocketcnn.formats.ncnn.emitter import Emitter, OperatorEmitter
from pocketcnn.formats.ncnn.layer import Params, untagged
from pocketcnn.graph.node import Node

SIXTH = 1 / 6


def _layer(type: str, params: Params | None = None) -> OperatorEmitter:
    return lambda node, emit: emit.layer(type, emit.inputs[0], params=params)


def _softmax(node: Node, emit: Emitter) -> str:
    axis = node.integer("axis")
    value = emit.inputs[0] if axis == 0 else emit.full_rank()
    softmax = emit.layer("Softmax", value, params={0: axis, 1: 1})  # 1=1: axis 0 is the outermost
    return softmax if axis == 0 else emit.as_blob(softmax)


def _prelu(node: Node, emit: Emitter) -> str:
    slopes = emit.array("weight").reshape(-1)
    return emit.layer("PReLU", emit.inputs[0], params={0: len(slopes)}, weights=(untagged(slopes),))


ACTIVATIONS: dict[str, OperatorEmitter] = {
    "relu": _layer("ReLU"),
    "relu6": _layer("Clip", {0: 0.0, 1: 6.0}),
    "hardswish": _layer("HardSwish", {0: SIXTH, 1: 0.5}),
    "hardsigmoid": _layer("HardSigmoid", {0: SIXTH, 1: 0.5}),
    "sigmoid": _layer("Sigmoid"),
    "silu": _layer("Swish"),
    "tanh": _layer("TanH"),
    "softplus": _layer("Softplus"),
    "mish": _layer("Mish"),
    "erf": _layer("Erf"),
    "gelu": lambda node, emit: emit.layer("GELU", emit.inputs[0], params={0: int(node.flag("tanh"))}),
    "clip": lambda node, emit: emit.layer(
        "Clip", emit.inputs[0], params={0: node.number("min"), 1: node.number("max")}
    ),
    "leaky_relu": lambda node, emit: emit.layer("ReLU", emit.inputs[0], params={0: node.number("slope")}),
    "elu": lambda node, emit: emit.layer("ELU", emit.inputs[0], params={0: node.number("alpha")}),
    "prelu": _prelu,
    "softmax": _softmax,
    "dropout": lambda node, emit: emit.inputs[0],
}


def fused_params(activation: Node | None) -> dict[int, int | tuple[float, ...]]:
    """The parameters activation_type (9) and activation_params (10) of a layer with a fused `activation`."""
    if activation is None:
        return {}
    kind, values = _fused(activation) or (0, ())
    return {9: kind, 10: values} if values else {9: kind}


def is_fusable(node: Node) -> bool:
    """Whether ncnn can fuse `node` into a convolution or linear layer."""
    return _fused(node) is not None


def _fused(node: Node) -> tuple[int, tuple[float, ...]] | None:
    if node.op == "clip":
        return 3, (node.number("min"), node.number("max"))
    if node.op == "leaky_relu":
        return 2, (node.number("slope"),)
    fixed: dict[str, tuple[int, tuple[float, ...]]] = {
        "relu": (1, ()),
        "relu6": (3, (0.0, 6.0)),
        "sigmoid": (4, ()),
        "mish": (5, ()),
        "hardswish": (6, (SIXTH, 0.5)),
    }
    return fixed.get(node.op)
