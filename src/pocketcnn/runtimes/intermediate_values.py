"""The values inside a network as a runtime computes them.

ONNX files can have every value as a further output. For any other runtime the network is cut off after a node, written and
run: that shows one value at a time.
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

from pocketcnn.formats.onnx.writer import Names, to_onnx
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import Numerics
from pocketcnn.runtimes.base import FloatArray, Runtime
from pocketcnn.runtimes.registry import get_runtime

AllOutputs = Callable[[bytes, FloatArray], list[FloatArray]]


def _onnxruntime(model: bytes, batch: FloatArray) -> list[FloatArray]:
    from pocketcnn.runtimes.onnxruntime_runtime import all_outputs

    return all_outputs(model, batch)


def _openvino(model: bytes, batch: FloatArray) -> list[FloatArray]:
    from pocketcnn.runtimes.openvino_runtime import all_outputs

    return all_outputs(model, batch)


_ALL_AT_ONCE: Mapping[str, tuple[AllOutputs, Names]] = MappingProxyType(
    {"onnxruntime": (_onnxruntime, "short"), "openvino": (_openvino, "full")}
)


def exposes_intermediate_values(runtime: str) -> bool:
    """Whether `intermediate_values` is there for a runtime."""
    return runtime in _ALL_AT_ONCE


def intermediate_values(
    graph: Graph, exposed: Sequence[str], images: Tensor, runtime: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """The answer of a folded graph and the values of its nodes `exposed`, by name, all from one run on `images`."""
    run, names = _ALL_AT_ONCE[runtime]
    model: bytes = to_onnx(graph, outputs=exposed, names=names).SerializeToString()
    logits, *values = map(torch.from_numpy, run(model, images.numpy()))
    return logits, dict(zip(exposed, values, strict=True))


class ValuesByCutting:
    """The values of a folded graph's nodes on `images`, each from a file that ends there; a value is computed once."""

    def __init__(self, graph: Graph, images: Tensor, runtime: str) -> None:
        self._graph, self._images, self._runtime = graph, images, get_runtime(runtime)
        self._known: dict[str, Tensor] = {graph.nodes[0].name: images}

    def __getitem__(self, name: str) -> Tensor:
        """The value of a node, (N, ...).

        Raises:
            PocketcnnError: the runtime cannot take the network that ends there.
        """
        if name not in self._known:
            value = outputs(self._runtime, GraphNetwork(cut_after(self._graph, name)), self._images)
            self._known[name] = value.reshape(len(self._images), *self._graph[name].shape)
        return self._known[name]


def outputs(runtime: Runtime, network: GraphNetwork, images: Tensor) -> Tensor:
    """What the file of `network` for `runtime` answers to `images`."""
    with tempfile.TemporaryDirectory() as folder:
        path = runtime.write(network, Path(folder) / f"network{runtime.suffix}")
        with closing(runtime.build(path, threads=1)) as session:
            return torch.from_numpy(session.run(np.ascontiguousarray(images.numpy(), np.float32)))


def cut_after(graph: Graph, name: str) -> Graph:
    """The part of `graph` that the value of node `name` depends on, with that value as one row of numbers as its answer."""
    node = graph[name]
    if len(node.shape) == 1:
        return graph.rebuilt(output=name)
    flat = next(free for free in numbered(f"{name}.flat") if free not in graph)
    row = Node(name=flat, op="reshape", inputs=(name,), shape=(), attrs={"shape": (prod(node.shape),)})
    numerics = graph.numerics
    if (fmt := numerics.activations.get(name)) is not None:
        numerics = Numerics(activations={**numerics.activations, flat: fmt}, weights=numerics.weights)
    return graph.rebuilt((*graph.nodes, row), output=flat, numerics=numerics)
