"""Compares a file with a second export of its network, so that what is found of the one holds for the other.

Layers are looked at in exports that show their values, or that end after them. That says something of the file itself only if the
file is what the writer writes.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

import onnx

from pocketcnn.formats.ncnn.layer import Layer, param_text
from pocketcnn.formats.ncnn.writer import to_layers
from pocketcnn.formats.onnx.writer import Names, constant_names, to_onnx
from pocketcnn.formats.tflite.writer import to_tflite
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.passes.fold import for_inference

OTHER_FILE = "the whole file: a second export gives another one"


def other_part(graph: Graph, file: Path, runtime: str) -> str | None:
    """The first layer whose tensors in `file` are not those of a second export of `graph`; None if the files are the same.

    Returns:
        The layer's name, or `OTHER_FILE` where there is none. None for a runtime whose writer is not compared.
    """
    compare = _COMPARED.get(runtime)
    if compare is None:
        return None
    tensor = compare(graph, file)
    written = graph if graph.numerics else for_inference(graph)
    return None if tensor is None else next(_layers(written, tensor), OTHER_FILE)


def _layers(graph: Graph, tensor: str) -> Iterator[str]:
    """The layers that a name in a file belongs to: that of a layer or of one of its tensors, with or without a suffix."""
    for node in graph.nodes:
        if any(tensor == name or tensor.startswith(f"{name}/") for name in (node.name, *node.tensors.values())):
            yield node.name


def _onnx(graph: Graph, file: Path, names: Names) -> str | None:
    second = to_onnx(graph, names=names)
    data = file.read_bytes()
    if second.SerializeToString(deterministic=True) == data:
        return None
    known = constant_names(graph, names=names)
    first = onnx.ModelProto.FromString(data)
    for one, other in zip_longest(first.graph.initializer, second.graph.initializer):
        if one != other:
            return "" if other is None else known.get(onnx.numpy_helper.to_array(other).tobytes(), "")
    return ""


def _tflite(graph: Graph, file: Path) -> str | None:
    from ai_edge_litert.interpreter import Interpreter

    second, data = to_tflite(graph), file.read_bytes()
    if second == data:
        return None
    one, other = Interpreter(model_content=data), Interpreter(model_content=second)
    for mine, theirs in zip_longest(one.get_tensor_details(), other.get_tensor_details()):
        if mine is None or theirs is None or mine["name"] != theirs["name"]:
            return ""
        stored = [_stored(interpreter, theirs["index"]) for interpreter in (one, other)]
        if stored[0] != stored[1] or repr(mine) != repr(theirs):
            return str(theirs["name"])
    return ""


def _stored(interpreter: object, index: int) -> bytes:
    try:
        value: bytes = interpreter.get_tensor(index).tobytes()  # type: ignore[attr-defined]
    except ValueError:  # not a constant
        return b""
    return value


def _ncnn(graph: Graph, file: Path) -> str | None:
    layers = to_layers(graph)
    lines = param_text(layers)
    if file.read_text(encoding="utf-8") != lines:
        return ""
    data, place = file.with_suffix(".bin").read_bytes(), 0
    for layer in layers:
        stored = _weights(layer)
        if data[place : place + len(stored)] != stored:
            return layer.name
        place += len(stored)
    return None if place == len(data) else ""


def _weights(layer: Layer) -> bytes:
    return b"".join(part for blob in layer.weights for part in blob.parts())


_COMPARED: Mapping[str, Callable[[Graph, Path], str | None]] = {
    "onnxruntime": lambda graph, file: _onnx(graph, file, "short"),
    "openvino": lambda graph, file: _onnx(graph, file, "full"),
    "litert": _tflite,
    "ncnn": _ncnn,
}
