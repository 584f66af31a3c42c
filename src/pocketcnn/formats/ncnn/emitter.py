"""Interface for an operation's ncnn export rule: its inputs in the shapes that ncnn's layers need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.ncnn.builder import NcnnBuilder
from pocketcnn.formats.ncnn.layer import Blob, Params
from pocketcnn.graph.fake_quantize import fake_quantize_bias, fake_quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node, Shape

MAX_RANK = 4
"""Largest number of axes of an ncnn blob."""

_AXIS_KEYS = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}
"""Ids of the shape parameters (c, d, h, w) for each rank."""

OperatorEmitter = Callable[[Node, "Emitter"], str]
"""An export rule: adds the layers of one node and returns the name of its output blob, of `blob_shape`."""


class Unsupported(PocketcnnError):
    """ncnn does not support an operation of the network."""

    def __init__(self, node: Node, why: str) -> None:
        super().__init__(f"ncnn cannot run the layer {node.name!r} ({node.op}): {why}.")


def blob_shape(shape: Shape) -> Shape:
    """Shape of a value between layers: a map of one pixel, (C, 1, 1), is a vector (C,), as ncnn's global pooling returns it."""
    return shape[:1] if len(shape) == 3 and shape[1:] == (1, 1) else shape


def shape_params(shape: Shape) -> dict[int, int]:
    """A shape as the parameters of Input, Reshape and MemoryData."""
    return dict(zip(_AXIS_KEYS[len(shape)], shape, strict=True))


@dataclass(frozen=True)
class Emitter:
    """Adds layers for `node` to `builder`; `inputs` are the names of its input blobs, of `blob_shape`."""

    builder: NcnnBuilder
    graph: Graph
    node: Node
    inputs: Sequence[str]
    fused: Mapping[str, Node]
    """Node name -> the activation that is fused into its layer."""
    shared: dict[object, tuple[str, ...]]
    """Outputs of layers that several nodes share."""

    def layer(
        self, type: str, *inputs: str, params: Params | None = None, weights: Sequence[Blob] = (), name: str = ""
    ) -> str:
        """Add a layer with one output and return its name."""
        return self.layers(type, *inputs, params=params, weights=weights, name=name)[0]

    def layers(
        self,
        type: str,
        *inputs: str,
        params: Params | None = None,
        weights: Sequence[Blob] = (),
        name: str = "",
        outputs: int = 1,
    ) -> tuple[str, ...]:
        """Add a layer and return the names of its outputs."""
        return self.builder.layer(type, name or self.node.name, inputs, params, weights, outputs)

    def shape(self, index: int = 0) -> Shape:
        """Shape of an input, per image."""
        return self.graph[self.node.inputs[index]].shape

    def full_rank(self, index: int = 0) -> str:
        """An input blob with all axes of the node's input shape, reshaped if necessary."""
        value, shape = self.inputs[index], self.shape(index)
        return value if shape == blob_shape(shape) else self.reshaped(value, shape)

    def reshaped(self, value: str, shape: Shape) -> str:
        """`value` in another shape."""
        return self.layer("Reshape", value, params=shape_params(shape), name=f"{self.node.name}/reshape")

    def as_blob(self, value: str) -> str:
        """A value of the node's shape, reshaped to `blob_shape` if necessary."""
        shape = self.node.shape
        return value if shape == blob_shape(shape) else self.reshaped(value, blob_shape(shape))

    def array(self, role: str) -> npt.NDArray[np.float32]:
        """The values of one of the node's tensors; quantized weights are dequantized."""
        tensor = self.graph.tensors[self.node.tensors[role]].detach()
        numerics = self.graph.numerics
        fmt = numerics.weights.get(self.node.tensors[role])
        if fmt is not None:
            tensor = fake_quantize_weight(tensor, self.graph.tensors[fmt.scale], fmt)
        elif role == "bias" and (weight := numerics.weights.get(self.node.tensors.get("weight", ""))) is not None:
            source = numerics.activations.get(self.node.inputs[0])
            if source is not None:
                tensor = fake_quantize_bias(tensor, source.scale, self.graph.tensors[weight.scale])
        return tensor.float().cpu().contiguous().numpy()
