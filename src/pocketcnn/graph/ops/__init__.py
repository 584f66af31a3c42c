"""The registry of operations of the graph, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from pocketcnn.graph.ops.activation import ACTIVATION_OPS
from pocketcnn.graph.ops.arithmetic import ARITHMETIC_OPS
from pocketcnn.graph.ops.base import GraphError, Op, require
from pocketcnn.graph.ops.convolution import CONVOLUTION_OPS
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.layout import LAYOUT_OPS
from pocketcnn.graph.ops.normalization import NORMALIZATION_OPS
from pocketcnn.graph.ops.pooling import POOLING_OPS
from pocketcnn.graph.ops.reach import whole_input


def _input_has_no_rule(*_: object) -> None:
    raise GraphError("An input node is not computed.")


INPUT = Op(
    name="input",
    arity=0,
    shape=_input_has_no_rule,  # type: ignore[arg-type]
    run=_input_has_no_rule,  # type: ignore[arg-type]
    onnx=_input_has_no_rule,  # type: ignore[arg-type]
    family=Family.INPUT,
    channels=ChannelRule.INPUT,
    reach=whole_input,
)

OPS: Mapping[str, Op] = MappingProxyType(
    {
        op.name: op
        for op in (
            INPUT,
            *CONVOLUTION_OPS,
            *NORMALIZATION_OPS,
            *ACTIVATION_OPS,
            *ARITHMETIC_OPS,
            *LAYOUT_OPS,
            *POOLING_OPS,
        )
    }
)

__all__ = ["OPS", "GraphError", "Op", "require"]
