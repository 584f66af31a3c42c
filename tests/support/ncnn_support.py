"""Runs graphs in ncnn, and gives them formats that ncnn's symmetric int8 holds exactly."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketcnn.formats.ncnn import write_ncnn
from pocketcnn.formats.ncnn.activation import is_fusable
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Numerics, for_inference
from pocketcnn.runtimes import get_runtime
from tests.support.onnx_support import ranges, weight_formats


def run(graph: Graph, images: Tensor) -> Tensor:
    """The answers of the files that `graph` is written to."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_ncnn(Path(folder) / "model.param", graph)
        with closing(get_runtime("ncnn").build(path, threads=1)) as session:
            return torch.from_numpy(session.run(np.ascontiguousarray(images.numpy())))


def simulated(graph: Graph, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return GraphNetwork(graph).eval()(images)


def with_symmetric_formats(graph: Graph, images: Tensor) -> Graph:
    """All values but the answer in symmetric int8, which ncnn has too; nothing between a layer and its activation."""
    graph = for_inference(graph)
    seen = ranges(graph, images)
    formats: dict[str, ActivationFormat] = {}
    for node in graph.nodes:
        users = graph.users(node.name)
        fused = node.op in ("conv2d", "linear") and len(users) == 1 and is_fusable(users[0])
        if not fused and node.name != graph.output:
            largest = max(map(abs, seen[node.name])) or 1.0
            formats[node.name] = ActivationFormat(scale=largest / 127, zero_point=0, signed=True)
    weights, scales = weight_formats(graph)
    numerics = Numerics(activations=formats, weights=weights)
    return graph.rebuilt(tensors={**graph.tensors, **scales}, numerics=numerics)
