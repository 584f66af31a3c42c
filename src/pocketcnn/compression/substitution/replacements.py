"""The replacements of each activation, nearest first, and the result of a substitution."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketcnn.graph import GraphNetwork
from pocketcnn.graph.node import Attr

Link = tuple[str, Mapping[str, Attr]]
"""An operation and its attributes."""
Chain = tuple[Link, ...]

RELU: Chain = (("relu", {}),)
RELU6: Chain = (("relu6", {}),)
CLIP6: Chain = (("clip", {"min": 0.0, "max": 6.0}),)
HARD_SIGMOID: Chain = (("hardsigmoid", {}),)
CLIPPED_LINE: Chain = (("affine", {"scale": 1 / 6, "offset": 0.5}), ("clip", {"min": 0.0, "max": 1.0}))
"""h-sigmoid(x) = ReLU6(x + 3) / 6 written out: exactly the same function."""

REPLACEMENTS: Mapping[str, tuple[Chain, ...]] = {
    "hardswish": (RELU6, CLIP6, RELU),
    "silu": ((("hardswish", {}),), RELU6, CLIP6, RELU),
    "mish": ((("silu", {}),), (("hardswish", {}),), RELU6, CLIP6, RELU),
    "gelu": ((("silu", {}),), (("hardswish", {}),), RELU6, CLIP6, RELU),
    "erf": ((("tanh", {}),), (("clip", {"min": -1.0, "max": 1.0}),)),
    "softplus": (RELU,),
    "hardsigmoid": (CLIPPED_LINE,),
    "sigmoid": (HARD_SIGMOID, CLIPPED_LINE),
    "tanh": ((("clip", {"min": -1.0, "max": 1.0}),),),
    "relu6": (CLIP6, RELU),
    "leaky_relu": (RELU,),
    "prelu": (RELU,),
    "elu": (RELU,),
    "local_response_norm": ((),),  # VGG paper, section 4.1: it does not improve accuracy
}


@dataclass(frozen=True)
class Change:
    """One replaced layer: its name, its old operation `was`, and its new operation `now`."""

    name: str
    was: str
    now: str


@dataclass(frozen=True)
class Substitution:
    """The adapted network, the changes, and the layers without a supported replacement (name, operation)."""

    network: GraphNetwork
    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...]
