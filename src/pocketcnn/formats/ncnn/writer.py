"""`Graph` -> ncnn: a ``.param`` file and the ``.bin`` file beside it, float32, or int8 where the graph has numerics."""

from collections.abc import Mapping
from pathlib import Path

from pocketcnn.files import atomic_path, write_text
from pocketcnn.formats.ncnn.activation import ACTIVATIONS, is_fusable
from pocketcnn.formats.ncnn.arithmetic import ARITHMETIC
from pocketcnn.formats.ncnn.builder import NcnnBuilder
from pocketcnn.formats.ncnn.convolution import CONVOLUTION
from pocketcnn.formats.ncnn.emitter import MAX_RANK, Emitter, OperatorEmitter, Unsupported, blob_shape, shape_params
from pocketcnn.formats.ncnn.layer import Layer, param_text
from pocketcnn.formats.ncnn.layout import LAYOUT
from pocketcnn.formats.ncnn.pooling import POOLING
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.passes.fold import drop_dropout, for_inference

INPUT_NAME = "input"
OUTPUT_NAME = "output"
BIN_SUFFIX = ".bin"

EMITTERS: Mapping[str, OperatorEmitter] = {**CONVOLUTION, **ACTIVATIONS, **ARITHMETIC, **LAYOUT, **POOLING}
"""The ncnn form of every operation of the graph but the input."""


def write_ncnn(path: Path, graph: Graph) -> Path:
    """Write `graph` to `path` and the weights beside it under the suffix ``.bin``, each file atomically; returns `path`.

    The network goes from ``input`` to ``output``, one image at a time. Dropout is left out and batch normalization folded
    first, except in a graph with numerics, whose formats were chosen for the operations that it has.

    Raises:
        PocketcnnError: ncnn has no layer for an operation, which is named; or the files cannot be written.
    """
    layers = to_layers(graph)
    with atomic_path(path.with_suffix(BIN_SUFFIX)) as part, part.open("wb") as stream:
        for layer in layers:
            for blob in layer.weights:
                stream.writelines(blob.parts())
    write_text(path, param_text(layers))
    return path


def to_layers(graph: Graph) -> list[Layer]:
    """The layers of `graph` as they stand in the files.

    Raises:
        PocketcnnError: ncnn has no layer for an operation, which is named.
    """
    graph = drop_dropout(graph) if graph.numerics else for_inference(graph)
    builder = NcnnBuilder()
    fused = _fused_activations(graph)
    absorbed = {activation.name: source for source, activation in fused.items()}
    values: dict[str, str] = {}
    shared: dict[object, tuple[str, ...]] = {}
    for node in graph.nodes:
        if node.name in absorbed:
            values[node.name] = values[absorbed[node.name]]
            continue
        emitter = Emitter(builder, graph, node, [values[name] for name in node.inputs], fused, shared)
        values[node.name] = _value(node, emitter)
    return builder.finished(_answer(graph, builder, values[graph.output]), OUTPUT_NAME)


def _value(node: Node, emit: Emitter) -> str:
    if len(node.shape) > MAX_RANK:
        raise Unsupported(node, f"its value has {len(node.shape)} axes, {MAX_RANK} are possible")
    if node.op == "input":
        image = emit.layer("Input", params=shape_params(node.shape), name=INPUT_NAME)
        return emit.as_blob(image)
    if node.op not in EMITTERS:
        raise Unsupported(node, "it has no layer of that kind")
    return EMITTERS[node.op](node, emit)


def _answer(graph: Graph, builder: NcnnBuilder, value: str) -> str:
    """The output with all its axes."""
    shape = graph.output_shape
    if shape == blob_shape(shape):
        return value
    return builder.layer("Reshape", f"{OUTPUT_NAME}/reshape", (value,), shape_params(shape))[0]


def _fused_activations(graph: Graph) -> dict[str, Node]:
    """The activations that the layer before them computes too, by that layer's name."""
    return {
        node.inputs[0]: node
        for node in graph.nodes
        if is_fusable(node) and _takes_activation(graph, graph[node.inputs[0]])
    }


def _takes_activation(graph: Graph, source: Node) -> bool:
    """Whether `source` is a layer with an activation of its own, which nothing but that activation sees."""
    unseen = len(graph.users(source.name)) == 1 and source.name != graph.output
    stored = source.name in graph.numerics.activations
    return source.op in ("conv2d", "linear") and unseen and not stored
