"""One file for a network: a `.safetensors` whose metadata holds the graph and all that travels with it.

Reading a file never executes anything from it, and never believes it: sizes, names, shapes, types and values are
checked before a network is built. What `load` would refuse, `save` does not write.

A coded file holds the same network, to the bit, in one tensor of bytes (see `graph.coded`): for storing and sending.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.files import write_bytes
from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.coded import CodedError, Coding, has_library, pack_network, unpack_network
from pocketcnn.graph.coded.encodings import DTYPES
from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.graph import Graph, infer_shapes
from pocketcnn.graph.header import (
    CODINGS,
    Header,
    HeaderError,
    coded_notice,
    decode,
    encode,
    is_coded,
    strict_json,
    tensor_names,
)
from pocketcnn.graph.info import ModelInfo
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.ops import GraphError
from pocketcnn.graph.stored_tensors import check_tensors, restored_tensors, stored_tensors

KEY = "pocketcnn"
"""Where in the metadata of the safetensors file the header is."""

CODED = "coded"
"""The one tensor of a coded file: bytes."""

MAX_HEADER_BYTES = 16 * 2**20
MAX_FILE_BYTES = 4 * 2**30
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


class ModelFileError(PocketcnnError):
    """A file that is not a model file, or is a damaged one; or a network that cannot be stored."""


def save(
    path: str | Path,
    network: GraphNetwork | nn.Module,
    *,
    input: InputContract | None = None,
    classes: Sequence[str] = (),
    info: ModelInfo | None = None,
    coding: Coding | None = None,
) -> Path:
    """Write a network to one file, atomically, and return its path.

    Args:
        path: where to; ``.safetensors`` is the usual suffix.
        network: a `GraphNetwork`, or any module, which is then captured for images of the shape that `input` says.
        input: what the network expects of its images; in place of the one in `info`.
        classes: a name for each output; in place of those in `info`.
        info: name, contract, classes and lineage; that of the network if not given.
        coding: for a file without redundancy, header included; it loads like any other, to the bit, and takes longer to
            read. It pays for integer weights, and most for clustered ones (`pocketcnn.cluster_weights`). ``"range"``
            is the smallest, and needs the extra ``coding`` to be written and read; ``"lzma"`` needs nothing.

    Raises:
        MissingExtra: ``coding="range"`` without its library.
        UsageError: an unknown coding, a module without an input contract, or a contract or class names that do not fit the
            network.
        ModelFileError: the network holds what a model file cannot, such as weights that are not finite.
        PocketcnnError: the module cannot be captured, or the file cannot be written.
    """
    path = Path(path)
    if coding not in (None, *CODINGS):
        known = ", ".join(map(repr, CODINGS))
        raise UsageError(f"There is no coding {coding!r}. Take one of {known}, or None for tensors as they are.")
    info = info or (network.info if isinstance(network, GraphNetwork) else ModelInfo())
    info = info.model_copy(update={"input": input or info.input, "classes": tuple(map(str, classes)) or info.classes})
    graph = network.graph.rebuilt() if isinstance(network, GraphNetwork) else _captured(network, info)
    if problem := _misfit(graph, info):
        raise UsageError(f"{path} was not written: {problem}")
    try:
        data = file_bytes(graph, info, coding)
        _parse(data)
    except (HeaderError, GraphError, CodedError) as error:
        raise ModelFileError(f"{path} was not written: {error}") from error
    write_bytes(path, data)
    return path


def file_bytes(graph: Graph, info: ModelInfo, coding: Coding | None = None) -> bytes:
    """The bytes of the model file of a network; `save` checks them before it writes them.

    Raises:
        HeaderError, GraphError, CodedError: the network holds what a model file cannot.
    """
    tensors, header = stored_tensors(graph), encode(graph, info)
    if coding is not None:
        in_order = [tensors[name] for name in tensor_names(graph.nodes, graph.numerics)]
        block, needed = pack_network(header, in_order, coding)
        tensors, header = {CODED: torch.from_numpy(np.frombuffer(block, np.uint8).copy())}, coded_notice(needed)
    data: bytes = safetensors.torch.save(tensors, {KEY: header})
    return data


def smallest_coding() -> Coding:
    """The smallest coding that this installation can write and read."""
    return "range" if has_library() else "lzma"


def smallest_size(graph: Graph) -> int:
    """Bytes of the smallest model file of a graph, less what it would say of its origin."""
    return len(file_bytes(graph, ModelInfo(), smallest_coding()))


def load(path: str | Path) -> GraphNetwork:
    """Read a network from a file that `save` wrote. Its weights are float32 again where they were stored as int8.

    Raises:
        UsageError: there is no such file, or it is a folder.
        MissingExtra: the file is range coded, and the library that reads it is not installed.
        ModelFileError: the file is not a model file, or is damaged; the message says how.
    """
    path = Path(path)
    data = _read(path)
    try:
        graph, info = _parse(data)
        return GraphNetwork(graph, info)
    except MissingExtra:
        raise
    except PocketcnnError as error:
        raise ModelFileError(f"{path} is not a usable model file: {error}{_hint(data)}") from error


def _captured(module: nn.Module, info: ModelInfo) -> Graph:
    if info.input is None:
        raise UsageError(
            f"To save a {type(module).__name__}, say what images it takes: save(path, network, input=InputContract(...))."
        )
    return capture(module, (1, *info.input.shape))


def _misfit(graph: Graph, info: ModelInfo) -> str:
    """What in `info` contradicts the graph, or nothing."""
    if info.input is not None and info.input.shape != graph.input_shape:
        return f"the input contract is for images of shape {info.input.shape}, the network takes {graph.input_shape}."
    if info.classes and graph.output_shape != (len(info.classes),):
        return f"there are {len(info.classes)} class names for an output of shape {graph.output_shape}."
    return ""


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; give the model file in it.")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(f"{path} has {size} bytes; model files have up to {MAX_FILE_BYTES}.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}. Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise ModelFileError(f"Cannot read {path}: {error}.") from error


def _hint(data: bytes) -> str:
    size = int.from_bytes(data[:8], "little")  # of a safetensors header, which may begin like a pickle
    if data.startswith((_ZIP, _PICKLE)) and size > MAX_HEADER_BYTES:
        return (
            " It looks like a PyTorch pickle (.pt, .pth), which can execute code when it is opened. Load it where the"
            " network's class is defined, and write it with `pocketcnn.save`."
        )
    return ""


def _parse(data: bytes) -> tuple[Graph, ModelInfo]:
    """The graph and the rest from the bytes of a file; see `load`."""
    text = _header_text(data)
    if is_coded(text):
        header, stored = _decoded(_stored(data))
    else:
        header, stored = decode(text), _stored(data)
    nodes = infer_shapes(header.nodes, stored)
    tensors = restored_tensors(stored, header.numerics)
    graph = Graph(nodes, header.output, tensors, header.numerics, header.buffers)
    _check_graph(graph, header)
    return graph, header.info


def _decoded(stored: dict[str, Tensor]) -> tuple[Header, dict[str, Tensor]]:
    """The header and the tensors of a coded file."""
    block = stored.get(CODED)
    if block is None or len(stored) != 1 or block.dtype != torch.uint8 or block.ndim != 1:
        raise CodedError(f"it is said to be coded, but it does not hold one tensor {CODED!r} of bytes.")
    text, tensors = unpack_network(block.numpy().tobytes())
    header = decode(text)
    names = tensor_names(header.nodes, header.numerics)
    if len(names) != len(tensors):
        raise CodedError(f"it codes {len(tensors)} tensors where its network has {len(names)}.")
    return header, dict(zip(names, tensors, strict=True))


def _header_text(data: bytes) -> str:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8:
        raise HeaderError("it is not a safetensors file.")
    if size > MAX_HEADER_BYTES:
        raise HeaderError(f"it is not a safetensors file, or its header of {size} bytes is too large.")
    if 8 + size > len(data):
        raise HeaderError("it is cut off, or not a safetensors file. Fetch or make it again.")
    outer = strict_json(data[8 : 8 + size])
    for name, entry in outer.items():
        if name != "__metadata__" and (not isinstance(entry, dict) or entry.get("dtype") not in DTYPES):
            raise HeaderError(f"its tensor {name!r} is of a type that no network here has.")
    metadata = outer.get("__metadata__")
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise HeaderError(
            "it holds tensors but no network. Load them into the network that they belong to, and write that with"
            " `pocketcnn.save`."
        )
    return text


def _stored(data: bytes) -> dict[str, Tensor]:
    try:
        stored: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise HeaderError(f"it is cut off or damaged ({error}). Fetch or make it again.") from error
    return stored


def _check_graph(graph: Graph, header: Header) -> None:
    if len(graph.rebuilt().nodes) != len(graph.nodes):
        raise GraphError("Some of its operations lead nowhere.")
    check_tensors(graph)
    if problem := _misfit(graph, header.info):
        raise GraphError(problem)
