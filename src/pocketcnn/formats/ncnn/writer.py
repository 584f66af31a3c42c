"""Export of a `Graph` to ncnn: a ``.param`` and a ``.bin`` file, int8 if the graph is quantized, else float32."""

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
"""Operation -> its ncnn export rule."""


def write_ncnn(path: Path, graph: Graph) -> Path:
    """Write `graph` to `path` (.param) and its weights to the ``.bin`` file beside it, each atomically; returns `path`.

    The blobs of the network are ``input`` and ``output``; it takes one image at a time. Dropout is removed and batch
    normalization folded first, except in a quantized graph, whose formats belong to its present operations.

    Raises:
        PocketcnnError: ncnn does not support an operation (named in the message), or the files cannot be written.
    """
    layers = to_layers(graph)
    with atomic_path(path.with_suffix(BIN_SUFFIX)) as part, part.open("wb") as stream:
        for layer in layers:
            for blob in layer.weights:
                stream.writelines(blob.parts())
    write_text(path, param_text(layers))
    return path


def to_layers(graph: Graph) -> list[Layer]:
    """The ncnn layers of `graph`.

    Raises:
        PocketcnnError: ncnn does not support an operation; the message names it.
    """
    return _written(inference_graph(graph))[0]


def inference_graph(graph: Graph) -> Graph:
    """`graph` without dropout, and with folded batch normalization if it is not quantized: what is written."""
    return drop_dropout(graph) if graph.numerics else for_inference(graph)


def blob_names(graph: Graph) -> Mapping[str, str]:
    """The blob of each node of `inference_graph(graph)` in the file. Two nodes have one blob if one is fused or moves nothing."""
    graph = inference_graph(graph)
    layers, values = _written(graph)
    blobs = {name for layer in layers for name in layer.outputs}
    renamed = {
        name: OUTPUT_NAME if name == graph.output and blob not in blobs else blob for name, blob in values.items()
    }
    return {name: blob for name, blob in renamed.items() if blob in blobs}


def _written(graph: Graph) -> tuple[list[Layer], dict[str, str]]:
    """The layers, and the blob of each node before the answer is renamed."""
    builder = NcnnBuilder()
    fused = fused_activations(graph)
    absorbed = {activation.name: source for source, activation in fused.items()}
    values: dict[str, str] = {}
    shared: dict[object, tuple[str, ...]] = {}
    for node in graph.nodes:
        if node.name in absorbed:
            values[node.name] = values[absorbed[node.name]]
            continue
        emitter = Emitter(builder, graph, node, [values[name] for name in node.inputs], fused, shared)
        values[node.name] = _value(node, emitter)
    return builder.finished(_answer(graph, builder, values[graph.output]), OUTPUT_NAME), values


def _value(node: Node, emit: Emitter) -> str:
    if len(node.shape) > MAX_RANK:
        raise Unsupported(node, f"its value has {len(node.shape)} axes; at most {MAX_RANK} are supported")
    if node.op == "input":
        image = emit.layer("Input", params=shape_params(node.shape), name=INPUT_NAME)
        return emit.as_blob(image)
    if node.op not in EMITTERS:
        raise Unsupported(node, "there is no export rule for the operation")
    return EMITTERS[node.op](node, emit)


def _answer(graph: Graph, builder: NcnnBuilder, value: str) -> str:
    """The network's output with all its axes."""
    shape = graph.output_shape
    if shape == blob_shape(shape):
        return value
    return builder.layer("Reshape", f"{OUTPUT_NAME}/reshape", (value,), shape_params(shape))[0]


def fused_activations(graph: Graph) -> dict[str, Node]:
    """Layer name -> the activation that is fused into the layer."""
    return {
        node.inputs[0]: node
        for node in graph.nodes
        if is_fusable(node) and _takes_activation(graph, graph[node.inputs[0]])
    }


def _takes_activation(graph: Graph, source: Node) -> bool:
    """Whether `source` is a layer with support for a fused activation, and the activation is its only reader."""
    unseen = len(graph.users(source.name)) == 1 and source.name != graph.output
    stored = source.name in graph.numerics.activations
    return source.op in ("conv2d", "linear") and unseen and not stored
