"""Runs ONNX models, and makes graphs of one operation and formats by hand, for the tests of the writer."""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from itertools import accumulate
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Node, Numerics, WeightFormat, for_inference
from pocketcnn.runtimes import get_runtime
from tests.support.op_cases import BenchmarkCase

MOVES = frozenset(
    {"concat", "slice", "channel_shuffle", "gather", "shift", "roll", "pad", "reshape", "permute"}
    | {"max_pool", "upsample"}
)


def run(model: onnx.ModelProto, *batches: Tensor) -> list[Tensor]:
    """The output of a model, which must pass ONNX's own checks, for each batch of images."""
    onnx.checker.check_model(model, full_check=True)
    with closing(get_runtime("onnxruntime").build(model.SerializeToString(), threads=1)) as session:
        return [torch.from_numpy(session.run(np.ascontiguousarray(images.numpy()))) for images in batches]


def optimized(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The operators that ONNX Runtime really runs, from the model that it saves after its optimizations."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def one_operation(case: BenchmarkCase) -> Graph:
    """A graph of that operation, whose inputs are parts of one image of (values, 1, 1)."""
    bounds = list(accumulate(map(prod, case.inputs), initial=0))
    nodes = [Node("input", "input", (), (max(1, bounds[-1]), 1, 1))]
    for index, shape in enumerate(case.inputs):
        attrs = {"axis": 0, "start": bounds[index], "stop": bounds[index + 1], "step": 1}
        nodes.append(Node(f"part{index}", "slice", ("input",), (), attrs))
        nodes.append(Node(f"x{index}", "reshape", (f"part{index}",), (), {"shape": shape}))
    tensors = {f"node.{role}": tensor for role, tensor in case.tensors.items()}
    return Graph((*nodes, case.node()), "node", tensors).rebuilt()


def ranges(graph: Graph, images: Tensor) -> dict[str, tuple[float, float]]:
    """Smallest and largest number of every value, zero included."""
    seen: dict[str, tuple[float, float]] = {}

    def see(node: Node, value: Tensor) -> None:
        seen[node.name] = (min(0.0, float(value.min())), max(0.0, float(value.max())))

    with torch.no_grad():
        GraphNetwork(graph).eval().run(images, see)
    return seen


def affine(low: float, high: float, bits: int = 8, signed: bool = False) -> ActivationFormat:
    """The format of the range low … high."""
    levels, lowest = (1 << bits) - 1, -(1 << (bits - 1)) if signed else 0
    scale = max(high - low, 1e-3) / levels * (1 - 1e-6)  # so that ReLU6 still saturates where the integers do
    zero = min(lowest + levels, max(lowest, round(-low / scale) + lowest))
    return ActivationFormat(scale=scale, zero_point=zero, bits=bits, signed=signed)


def with_formats(graph: Graph, images: Tensor, bits: int = 8, signed: bool = False) -> Graph:
    """Every value and weight in integers; what lies between a convolution and its ReLU is not stored."""
    graph = for_inference(graph)
    seen = ranges(graph, images)
    formats: dict[str, ActivationFormat] = {}
    for node in graph.nodes:
        users = graph.users(node.name)
        if node.op in ("conv2d", "linear", "add") and len(users) == 1 and users[0].op in ("relu", "relu6", "clip"):
            continue
        moved = node.op in MOVES and node.inputs[0] in formats
        formats[node.name] = formats[node.inputs[0]] if moved else affine(*seen[node.name], bits, signed)
    weights, scales = weight_formats(graph, bits)
    numerics = Numerics(activations=formats, weights=weights)
    return graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics)


def weight_formats(graph: Graph, bits: int = 8) -> tuple[Mapping[str, WeightFormat], Mapping[str, Tensor]]:
    """Formats of all weights by their largest magnitude, and the scales that they name."""
    weights = {node.tensors["weight"] for node in graph.nodes if node.op in ("conv2d", "linear")}
    formats = {name: WeightFormat(scale=f"{name}_scale", bits=bits) for name in sorted(weights)}
    scales = {
        form.scale: graph.tensors[name].abs().flatten(1).amax(1).clamp_min(1e-6) / form.high
        for name, form in formats.items()
    }
    return formats, scales
