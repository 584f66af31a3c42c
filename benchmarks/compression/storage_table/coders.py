"""Entropy coders of others on the very streams of a coded model file, beside the entropy that bounds them all.

The bound is that of a code that knows each tensor's frequencies and nothing else: an adaptive coder can come below it
where frequencies change within a tensor.
"""

import bz2
import zlib
from collections.abc import Callable, Mapping, Sequence

from pocketcnn.graph import GraphNetwork
from pocketcnn.graph.coded.encodings import Bytes, entropy, smallest
from pocketcnn.graph.coded.entropy import Coding, Encoder
from pocketcnn.graph.header import tensor_names
from pocketcnn.graph.stored_tensors import stored_tensors

Coder = Callable[[Sequence[Bytes]], int]
"""Symbols of tensor after tensor in, bytes out."""


def streams_of(network: GraphNetwork) -> dict[str, list[Bytes]]:
    """Gaps and symbols of the tensors of a network, as they go into its file."""
    graph = network.graph.rebuilt()
    tensors = stored_tensors(graph)
    stored = [smallest(tensors[name]) for name in tensor_names(graph.nodes, graph.numerics)]
    found = {"gaps": [part.gaps for part in stored], "symbols": [part.symbols for part in stored]}
    return {name: [part for part in parts if len(part)] for name, parts in found.items()}


def sizes(network: GraphNetwork, coders: Mapping[str, Coder]) -> dict[str, int]:
    """Bytes of all gaps and symbols together, coder by coder; "entropy" is the bound."""
    streams = list(streams_of(network).values())
    found = {"entropy": round(sum(len(part) * entropy(part) for parts in streams for part in parts) / 8)}
    return found | {name: sum(coder(parts) for parts in streams if parts) for name, coder in coders.items()}


def _joined(coder: Callable[[bytes], bytes]) -> Coder:
    return lambda parts: len(coder(b"".join(part.tobytes() for part in parts)))


def _ours(coding: Coding) -> Coder:
    """What goes into a file, stored frequencies included."""

    def coded(parts: Sequence[Bytes]) -> int:
        encoder = Encoder(coding)
        for part in parts:
            encoder.add(part)
        return sum(map(len, encoder.finish()))

    return coded


def available() -> dict[str, Coder]:
    """Ours, and whatever of the others is installed."""
    coders: dict[str, Coder] = {
        "ours, `range`": _ours("range"),
        "ours, `lzma`": _ours("lzma"),
        "zlib, level 9": _joined(lambda data: zlib.compress(data, 9)),
        "bzip2": _joined(bz2.compress),
    }
    try:
        import zstandard
    except ImportError:
        pass
    else:
        coders["Zstandard, level 19"] = _joined(zstandard.ZstdCompressor(level=19).compress)
    return coders
