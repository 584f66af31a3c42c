"""`export`: writes a network as a deployable file with its sidecar."""

from collections.abc import Mapping
from pathlib import Path

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.graph.model_file import load
from pocketcnn.pipeline.sidecar import SPLIT_SEED, Figures, write_sidecar
from pocketcnn.runtimes.base import Runtime, artefact_files
from pocketcnn.runtimes.registry import export_formats, get_runtime

FORMATS: Mapping[str, str] = export_formats()
"""Export formats, each with the name of its runtime."""


def export(
    network_or_path: GraphNetwork | str | Path,
    to: str = "onnx",
    out: str | Path | None = None,
    *,
    figures: Figures | None = None,
) -> Path:
    """Write a network in the format `to`, in float32 or int8 as the network is, and a sidecar if it has an input contract.

    Args:
        network_or_path: a network, or a model file.
        to: ``onnx`` (for ONNX Runtime) or another of `FORMATS`.
        out: the file to write; beside the model file, with the suffix of the format, if not given.
        figures: measured figures for the sidecar.

    Returns:
        The written file.

    Raises:
        UsageError: an unknown format, a network in memory without `out`, or a missing library.
        PocketcnnError: the model file cannot be read, the runtime does not support a layer of the network (the message
            names it), or the file cannot be written.
    """
    runtime = runtime_of_format(to)
    network = network_or_path if isinstance(network_or_path, GraphNetwork) else load(Path(network_or_path))
    if out is None:
        if isinstance(network_or_path, GraphNetwork):
            raise UsageError(f"Give the file to write: export(network, {to!r}, 'model{runtime.suffix}').")
        out = default_path(Path(network_or_path), to)
    path = runtime.write(network, Path(out))
    describe(path, network, figures or {}, to)
    return path


def runtime_of_format(to: str) -> Runtime:
    """The runtime of the export format `to`.

    Raises:
        UsageError: there is no such format.
    """
    if to not in FORMATS:
        raise UsageError(f"There is no export format {to!r}; choose one of {', '.join(FORMATS)}.")
    return get_runtime(FORMATS[to])


def default_path(file: Path, to: str) -> Path:
    """The default output of an export: beside the model file, with the suffix of the format."""
    return file.with_suffix(runtime_of_format(to).suffix)


def describe(artefact: Path, network: GraphNetwork, figures: Figures, to: str = "onnx") -> None:
    """Write the sidecar of an artefact that was exported from `network`, if the network has an input contract."""
    if network.info.input is None:
        return
    numerics, runtime = numerics_name(network), runtime_of_format(to)
    write_sidecar(
        artefact,
        network.info.input,
        network.info.classes,
        numerics,
        {SPLIT_SEED: network.info.split_seed, **figures},
        companions=artefact_files(runtime, artefact)[1:],
        notes=runtime.deployment.notes(numerics),
        channels_last=runtime.deployment.channels_last,
    )


def numerics_name(network: GraphNetwork) -> str:
    """``int8`` (or fewer bits) for a quantized network, else ``float32``."""
    bits = {precision.bits for precision in network.numerics.weights.values()}
    return "float32" if not bits else f"int{max(bits)}"
