"""The model file: a `.safetensors` file whose metadata holds the graph, input contract, class names and lineage.

Reading a file never executes code from it. Sizes, names, shapes, dtypes and values are validated before a network is built,
and `save` refuses to write what `load` would reject.

A coded file holds the same network in compressed form, in one tensor of bytes (see `graph.coded`).
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from pocketcnn.graph.limits import check_limits
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.ops import GraphError
from pocketcnn.graph.stored_tensors import check_tensors, restored_tensors, stored_tensors

KEY = "pocketcnn"
"""Key of the header in the metadata of the safetensors file."""

CHECKSUM = "checksum"
"""Key of the checksum in the metadata. Files of earlier versions have none."""

CODED = "coded"
"""Name of the only tensor of a coded file, the compressed bytes."""

MAX_HEADER_BYTES = 16 * 2**20
MAX_FILE_BYTES = 4 * 2**30
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


class ModelFileError(PocketcnnError):
    """A file is not a model file or is damaged, or a network cannot be stored in one."""


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
        path: path of the file; the usual suffix is ``.safetensors``.
        network: a `GraphNetwork`, or any module, which is then captured for images of the shape in `input`.
        input: the input contract; it replaces the one in `info`.
        classes: a name for each output; they replace those in `info`.
        info: name, input contract, class names and lineage; by default those of the network.
        coding: lossless compression of the file; None: no compression. It pays for integer weights, and most for
            clustered ones (`pocketcnn.cluster_weights`); loading takes longer. ``"range"`` is the smallest and needs the
            extra ``coding`` to write and read; ``"lzma"`` needs no extra.

    Raises:
        MissingExtra: ``coding="range"`` without its library.
        UsageError: an unknown coding, a module without an input contract, or a contract or class names that do not match
            the network.
        ModelFileError: the network cannot be stored in a model file, for example because weights are not finite.
        PocketcnnError: the module cannot be captured, or the file cannot be written.
    """
    path = Path(path)
    if coding not in (None, *CODINGS):
        known = ", ".join(map(repr, CODINGS))
        raise UsageError(f"There is no coding {coding!r}. Choose one of {known}, or None for no compression.")
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
    """The bytes of the model file of a network; `save` validates them before it writes them.

    Raises:
        HeaderError, GraphError, CodedError: the network cannot be stored in a model file.
    """
    tensors, header = stored_tensors(graph), encode(graph, info)
    if coding is not None:
        in_order = [tensors[name] for name in tensor_names(graph.nodes, graph.numerics)]
        block, needed = pack_network(header, in_order, coding)
        tensors, header = {CODED: torch.from_numpy(np.frombuffer(block, np.uint8).copy())}, coded_notice(needed)
        return _safetensors(tensors, header)  # its bytes have a checksum of their own
    return _with_checksum(_safetensors(tensors, header))


def _safetensors(tensors: dict[str, Tensor], header: str) -> bytes:
    data: bytes = safetensors.torch.save(tensors, {KEY: header})
    return data


def _with_checksum(data: bytes) -> bytes:
    """The same file with a checksum in its metadata. The library writes several keys in random order, so it is not used."""
    size = int.from_bytes(data[:8], "little")
    outer, content = strict_json(data[8 : 8 + size]), data[8 + size :]
    outer["__metadata__"][CHECKSUM] = _checksum(outer, content)
    text = json.dumps(outer, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors are aligned to 8 bytes
    return len(text).to_bytes(8, "little") + text + content


def _checksum(outer: Mapping[str, Any], content: bytes) -> str:
    """The CRC-32 of the header of a safetensors file, without the checksum in it, and of its tensors, as 8 hexadecimal digits."""
    metadata = {name: value for name, value in outer.get("__metadata__", {}).items() if name != CHECKSUM}
    text = json.dumps({**outer, "__metadata__": metadata}, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(content, zlib.crc32(text.encode())):08x}"


def smallest_coding() -> Coding:
    """The most effective coding that is available in this installation."""
    return "range" if has_library() else "lzma"


def smallest_size(graph: Graph) -> int:
    """Size in bytes of the smallest model file of a graph, without class names and lineage."""
    return len(file_bytes(graph, ModelInfo(), smallest_coding()))


def load(path: str | Path) -> GraphNetwork:
    """Load a network from a model file. Weights that are stored as int8 are dequantized to float32.

    Raises:
        UsageError: the file does not exist, or is a folder.
        MissingExtra: the file is range coded and the extra ``coding`` is not installed.
        ModelFileError: the file is not a model file or is damaged; the message gives the reason.
    """
    path = Path(path)
    data = _read(path)
    try:
        graph, info = _parse(data)
        return GraphNetwork(graph, info)
    except MissingExtra:
        raise
    except PocketcnnError as error:
        raise ModelFileError(f"{path} is not a valid model file: {error}{_hint(data)}") from error


def _captured(module: nn.Module, info: ModelInfo) -> Graph:
    if info.input is None:
        raise UsageError(
            f"To save a {type(module).__name__}, give its input contract: save(path, network, input=InputContract(...))."
        )
    return capture(module, (1, *info.input.shape))


def _misfit(graph: Graph, info: ModelInfo) -> str:
    """A sentence that says what in `info` contradicts the graph; empty if nothing does."""
    if info.input is not None and info.input.shape != graph.input_shape:
        return f"the input contract has images of shape {info.input.shape}, but the network takes {graph.input_shape}."
    if info.classes and graph.output_shape != (len(info.classes),):
        return f"there are {len(info.classes)} class names, but the output has the shape {graph.output_shape}."
    return ""


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder. Give the path of the model file in it.")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(f"{path} has {size} bytes; a model file has at most {MAX_FILE_BYTES}.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}. Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise ModelFileError(f"Cannot read {path}: {error}.") from error


def _hint(data: bytes) -> str:
    size = int.from_bytes(data[:8], "little")  # the size of a safetensors header may look like the start of a pickle
    if data.startswith((_ZIP, _PICKLE)) and size > MAX_HEADER_BYTES:
        return (
            " It looks like a PyTorch pickle (.pt, .pth), which can execute code when it is loaded. Load it with the code"
            " that defines the network, and write it with `pocketcnn.save`."
        )
    return ""


def _parse(data: bytes) -> tuple[Graph, ModelInfo]:
    """The graph and the metadata in the bytes of a file, see `load`."""
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
        raise CodedError(f"it is marked as coded, but does not hold exactly one tensor {CODED!r} of bytes.")
    text, tensors = unpack_network(block.numpy().tobytes())
    header = decode(text)
    names = tensor_names(header.nodes, header.numerics)
    if len(names) != len(tensors):
        raise CodedError(f"it has {len(tensors)} coded tensors, but its network has {len(names)}.")
    return header, dict(zip(names, tensors, strict=True))


def _header_text(data: bytes) -> str:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8:
        raise HeaderError("it is not a safetensors file.")
    if size > MAX_HEADER_BYTES:
        raise HeaderError(f"it is not a safetensors file, or its header of {size} bytes is too large.")
    if 8 + size > len(data):
        raise HeaderError("it is truncated, or not a safetensors file. Download or create it again.")
    outer = strict_json(data[8 : 8 + size])
    for name, entry in outer.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if name != "__metadata__" and (not isinstance(dtype, str) or dtype not in DTYPES):
            raise HeaderError(f"its tensor {name!r} has an unsupported dtype.")
    metadata = outer.get("__metadata__")
    if not isinstance(metadata, dict):
        metadata = {}
    text = metadata.get(KEY)
    if CHECKSUM in metadata and metadata[CHECKSUM] != _checksum(outer, data[8 + size :]):
        raise HeaderError("it is truncated or damaged: wrong checksum. Download or create it again.")
    if not isinstance(text, str):
        raise HeaderError(
            "it holds tensors but no graph. Load them into the network that they belong to, and write that with"
            " `pocketcnn.save`."
        )
    return text


def _stored(data: bytes) -> dict[str, Tensor]:
    try:
        stored: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise HeaderError(f"it is truncated or damaged ({error}). Download or create it again.") from error
    return stored


def _check_graph(graph: Graph, header: Header) -> None:
    if len(graph.rebuilt().nodes) != len(graph.nodes):
        raise GraphError("Its output does not depend on some of its operations.")
    check_tensors(graph)
    check_limits(graph)
    if problem := _misfit(graph, header.info):
        raise GraphError(problem)
