"""Export of a `Graph` to ExecuTorch: a ``.pte`` file for XNNPACK, int8 if the graph is quantized, else float32."""

import importlib.util
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.files import write_bytes
from pocketcnn.formats.executorch.module import LoweredNetwork
from pocketcnn.formats.executorch.padding import with_counted_padding
from pocketcnn.formats.executorch.quiet import quiet, quiet_native
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.passes.fold import drop_dropout, for_inference

MAX_RANK = 5
"""Largest number of axes, without batch, that XNNPACK supports."""

DELEGATE = "executorch_call_delegate"
_BOOKKEEPING = frozenset({DELEGATE, "getitem"})


def write_executorch(path: Path, graph: Graph) -> Path:
    """Write `graph` to `path` atomically and return `path`. The file takes one image at a time.

    Dropout is removed and batch normalization folded first, except in a quantized graph, whose formats belong to its
    present operations.

    Raises:
        MissingExtra: ExecuTorch is not installed.
        PocketcnnError: ExecuTorch cannot lower the network, or the file cannot be written.
    """
    write_bytes(path, program_bytes(lowered(graph)))
    return path


def program_bytes(program: Any) -> bytes:
    """Serialize the result of `lowered` as the contents of a .pte file.

    Raises:
        PocketcnnError: ExecuTorch's runtime has no kernel for an operator; the message names it.
    """
    with _errors(), quiet(), quiet_native():
        finished = program.to_executorch()
        data: bytes = finished.buffer
    if missing := _without_kernel(finished.executorch_program):
        raise PocketcnnError(f"ExecuTorch cannot run the network: it has no kernel for {', '.join(missing)}.")
    return data


def _without_kernel(program: Any) -> list[str]:
    """The operators of a program for which the installed ExecuTorch runtime has no kernel."""
    with quiet(), quiet_native():
        from executorch.runtime import Runtime

        known = Runtime.get().operator_registry.operator_names
    used = {
        f"{operator.name}.{operator.overload}" if operator.overload else operator.name
        for plan in program.execution_plan
        for operator in plan.operators
    }
    return sorted(used - set(known))


def portable_operations(graph: Graph) -> Counter[str]:
    """Count the operators that are not delegated to XNNPACK but run on ExecuTorch's slow portable kernels.

    Raises:
        MissingExtra: ExecuTorch is not installed.
    """
    return undelegated(lowered(graph))


def undelegated(program: Any) -> Counter[str]:
    """The same for a result of `lowered`."""
    nodes = program.exported_program().graph.nodes
    calls = (_operator(node.target) for node in nodes if node.op == "call_function")
    return Counter(call for call in calls if call not in _BOOKKEEPING)


def lowered(graph: Graph) -> Any:
    """Lower the network to an ExecuTorch edge program, with supported layers delegated to XNNPACK.

    Raises:
        MissingExtra: ExecuTorch is not installed.
        PocketcnnError: ExecuTorch cannot lower the network.
    """
    if importlib.util.find_spec("executorch") is None:
        raise MissingExtra("Writing .pte files", "executorch")
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower
    graph = with_counted_padding(drop_dropout(graph) if graph.numerics else for_inference(graph))
    for node in graph.nodes:
        if len(node.shape) > MAX_RANK:
            raise PocketcnnError(
                f"ExecuTorch's XNNPACK cannot run the layer {node.name!r} ({node.op}): its value has {len(node.shape)} axes, "
                f"at most {MAX_RANK} are supported."
            )
    module = LoweredNetwork(graph).eval()
    # The IR check accepts only core ATen operators, not the quantized ones.
    config = EdgeCompileConfig(_check_ir_validity=False)
    with _errors(), quiet(), quiet_native():
        exported = torch.export.export(module, (torch.zeros(1, *graph.input_shape),))
        return to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()], compile_config=config)


@contextmanager
def _errors() -> Iterator[None]:
    """Translate the exceptions of ExecuTorch and PyTorch to `PocketcnnError` with a message on one line."""
    try:
        yield
    except Exception as error:
        raise PocketcnnError(f"ExecuTorch cannot lower the network: {_reason(error)}") from error


def _operator(target: Any) -> str:
    name = getattr(target, "name", None)
    return str(name()) if callable(name) else str(getattr(target, "__name__", target))


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
