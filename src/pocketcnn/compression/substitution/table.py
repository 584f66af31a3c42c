"""What may stand in for an activation, nearest first. Each stand-in is a chain of operations; an empty one leaves it out."""

from collections.abc import Mapping

from pocketcnn.graph.node import Attr

Link = tuple[str, Mapping[str, Attr]]
"""An operation and its attributes."""
Chain = tuple[Link, ...]

RELU: Chain = (("relu", {}),)
RELU6: Chain = (("relu6", {}),)
CLIP6: Chain = (("clip", {"min": 0.0, "max": 6.0}),)
HARD_SIGMOID: Chain = (("hardsigmoid", {}),)
CLIPPED_LINE: Chain = (("affine", {"scale": 1 / 6, "offset": 0.5}), ("clip", {"min": 0.0, "max": 1.0}))
"""h-sigmoid(x) = ReLU6(x + 3) / 6, spelled out: the very same function."""

REPLACEMENTS: Mapping[str, tuple[Chain, ...]] = {
    "hardswish": (RELU6, CLIP6, RELU),
    "silu": ((("hardswish", {}),), RELU6, CLIP6, RELU),
    "mish": ((("silu", {}),), (("hardswish", {}),), RELU6, CLIP6, RELU),
    "softplus": (RELU,),
    "hardsigmoid": (CLIPPED_LINE,),
    "sigmoid": (HARD_SIGMOID, CLIPPED_LINE),
    "tanh": ((("clip", {"min": -1.0, "max": 1.0}),),),
    "relu6": (CLIP6, RELU),
    "leaky_relu": (RELU,),
    "prelu": (RELU,),
    "elu": (RELU,),
    "local_response_norm": ((),),  # VGG paper, section 4.1: it brings nothing
}
