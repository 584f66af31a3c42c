"""The intermediate values of a network as a runtime computes them.

An ONNX file can have every value as an additional output, and ncnn gives every blob of a file. For other runtimes the graph is
cut after a node, exported and run, which gives one value per export.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from math import prod
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from pocketcnn.formats.ncnn.simulation import ncnn_simulation, simulated_blobs
from pocketcnn.formats.onnx.writer import Names, to_onnx
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import Numerics
from pocketcnn.graph.passes.fold import for_inference
from pocketcnn.runtimes.base import FloatArray, Runtime
from pocketcnn.runtimes.registry import get_runtime

DEFAULTS = "onnxruntime, no options"
"""ONNX Runtime in a session without options, as others open a file."""

UNOPTIMIZED = "onnxruntime, unoptimized"
"""ONNX Runtime without its optimizations, so that every operator computes what ONNX defines."""

AllOutputs = Callable[[bytes, FloatArray], list[FloatArray]]


def _onnxruntime(model: bytes, batch: FloatArray) -> list[FloatArray]:
    from pocketcnn.runtimes.onnxruntime_runtime import all_outputs

    return all_outputs(model, batch)


def _unoptimized(model: bytes, batch: FloatArray) -> list[FloatArray]:
    from pocketcnn.runtimes.onnxruntime_runtime import all_outputs, unoptimized

    return all_outputs(model, batch, unoptimized())


def _defaults(model: bytes, batch: FloatArray) -> list[FloatArray]:
    from pocketcnn.runtimes.onnxruntime_runtime import all_outputs, default_options

    return all_outputs(model, batch, default_options())


def _openvino(model: bytes, batch: FloatArray) -> list[FloatArray]:
    from pocketcnn.runtimes.openvino_runtime import all_outputs

    return all_outputs(model, batch)


_WITH_OUTPUTS: Mapping[str, tuple[AllOutputs, Names]] = MappingProxyType(
    {
        "onnxruntime": (_onnxruntime, "short"),
        DEFAULTS: (_defaults, "short"),
        UNOPTIMIZED: (_unoptimized, "short"),
        "openvino": (_openvino, "full"),
    }
)


def exposes_intermediate_values(runtime: str) -> bool:
    """Whether `intermediate_values` supports the runtime."""
    return runtime in _WITH_OUTPUTS or runtime == "ncnn"


def simulation(graph: Graph, runtime: str) -> Graph:
    """`graph` at inference with the numerics in which `runtime` computes it; only those of ncnn are not the graph's."""
    if runtime == "ncnn":
        return ncnn_simulation(graph)
    return graph if graph.numerics else for_inference(graph)


def intermediate_values(
    graph: Graph, exposed: Sequence[str], images: Tensor, runtime: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of a graph with folded batch norm, and the values of the nodes `exposed` by name, for `images`.

    For ncnn the nodes are those of `ncnn_simulation`, as far as the file computes their values.
    """
    if runtime == "ncnn":
        return _ncnn(graph, images)
    run, names = _WITH_OUTPUTS[runtime]
    model: bytes = to_onnx(graph, outputs=exposed, names=names).SerializeToString()
    logits, *values = map(torch.from_numpy, run(model, images.numpy()))
    return logits, dict(zip(exposed, values, strict=True))


def _ncnn(graph: Graph, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    from pocketcnn.runtimes.ncnn_runtime import all_blobs

    computed, shapes = simulated_blobs(graph), {node.name: node.shape for node in ncnn_simulation(graph).nodes}
    with tempfile.TemporaryDirectory() as folder:
        path = get_runtime("ncnn").write(GraphNetwork(graph), Path(folder) / "network.param")
        logits, blobs = all_blobs(path, images.numpy(), sorted({each.blob for each in computed.values()}))
    values = {
        name: torch.from_numpy(blobs[each.blob] * np.float32(each.step)).reshape(len(images), *shapes[name])
        for name, each in computed.items()
    }
    return torch.from_numpy(logits), values


class ValuesByCutting:
    """The values of a graph's nodes for `images`, each computed on demand by an export that is cut after the node."""

    def __init__(self, graph: Graph, images: Tensor, runtime: str) -> None:
        self._graph, self._images, self._runtime = graph, images, get_runtime(runtime)
        self._known: dict[str, Tensor] = {graph.nodes[0].name: images}

    def __getitem__(self, name: str) -> Tensor:
        """The value of a node, (N, ...).

        Raises:
            PocketcnnError: the runtime does not run the network that is cut there.
        """
        if name not in self._known:
            value = outputs(self._runtime, GraphNetwork(cut_after(self._graph, name)), self._images)
            self._known[name] = value.reshape(len(self._images), *self._graph[name].shape)
        return self._known[name]


def outputs(runtime: Runtime, network: GraphNetwork, images: Tensor) -> Tensor:
    """The outputs of `network` for `images`, exported to and run on `runtime`."""
    with tempfile.TemporaryDirectory() as folder:
        path = runtime.write(network, Path(folder) / f"network{runtime.suffix}")
        with closing(runtime.build(path, threads=1)) as session:
            return torch.from_numpy(session.run(np.ascontiguousarray(images.numpy(), np.float32)))


def cut_after(graph: Graph, name: str) -> Graph:
    """The part of `graph` that computes node `name`, with the node's flattened value as output."""
    node = graph[name]
    if len(node.shape) == 1:
        return graph.rebuilt(output=name)
    flat = next(free for free in numbered(f"{name}.flat") if free not in graph)
    row = Node(name=flat, op="reshape", inputs=(name,), shape=(), attrs={"shape": (prod(node.shape),)})
    numerics = graph.numerics
    if (fmt := numerics.activations.get(name)) is not None:
        numerics = Numerics(activations={**numerics.activations, flat: fmt}, weights=numerics.weights)
    return graph.rebuilt((*graph.nodes, row), output=flat, numerics=numerics)
