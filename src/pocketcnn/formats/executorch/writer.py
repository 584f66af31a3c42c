"""`Graph` -> ExecuTorch: a ``.pte`` file whose layers run on XNNPACK, float32, or int8 where the graph has numerics."""

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.files import write_bytes
from pocketcnn.formats.executorch.module import LoweredNetwork
from pocketcnn.formats.executorch.quiet import quiet, quiet_native
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.passes.fold import drop_dropout, for_inference

MAX_RANK = 5
"""Axes of a value beside the batch that XNNPACK takes."""

DELEGATE = "executorch_call_delegate"
_BOOKKEEPING = frozenset({DELEGATE, "getitem"})


def write_executorch(path: Path, graph: Graph) -> Path:
    """Write `graph` to `path` atomically and return it. The file takes one image at a time.

    Dropout is left out and batch normalization folded first, except in a graph with numerics, whose formats were chosen
    for the operations that it has.

    Raises:
        MissingExtra: ExecuTorch is absent.
        PocketcnnError: ExecuTorch cannot lower the network, or the file cannot be written.
    """
    try:
        with quiet(), quiet_native():
            data: bytes = lowered(graph).to_executorch().buffer
    except PocketcnnError:
        raise
    except Exception as error:  # many kinds, all of them ExecuTorch's own
        raise PocketcnnError(f"ExecuTorch cannot lower the network: {_reason(error)}") from error
    write_bytes(path, data)
    return path


def portable_operations(graph: Graph) -> Counter[str]:
    """The operators, with their number, that XNNPACK leaves to ExecuTorch's portable kernels, which are slow.

    Raises:
        MissingExtra: ExecuTorch is absent.
    """
    with quiet(), quiet_native():
        nodes = lowered(graph).exported_program().graph.nodes
    calls = (_operator(node.target) for node in nodes if node.op == "call_function")
    return Counter(call for call in calls if call not in _BOOKKEEPING)


def lowered(graph: Graph) -> Any:
    """The network as ExecuTorch's edge program, its layers handed to XNNPACK where that takes them.

    Raises:
        MissingExtra: ExecuTorch is absent.
    """
    if importlib.util.find_spec("executorch") is None:
        raise MissingExtra("Writing .pte files", "executorch")
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower
    graph = drop_dropout(graph) if graph.numerics else for_inference(graph)
    module = LoweredNetwork(graph).eval()
    exported = torch.export.export(module, (torch.zeros(1, *graph.input_shape),))
    # The check wants core ATen operators alone and does not know the quantized ones.
    config = EdgeCompileConfig(_check_ir_validity=False)
    return to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()], compile_config=config)


def _operator(target: Any) -> str:
    name = getattr(target, "name", None)
    return str(name()) if callable(name) else str(getattr(target, "__name__", target))


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
