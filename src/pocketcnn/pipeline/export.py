"""`export`: a network becomes a deployable file with its sidecar."""

from pathlib import Path

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, for_inference
from pocketcnn.graph.model_file import load
from pocketcnn.graph.onnx_writer import write_onnx
from pocketcnn.pipeline.sidecar import SPLIT_SEED, Figures, write_sidecar

FORMATS = ("onnx",)


def export(
    network_or_path: GraphNetwork | str | Path,
    to: str = "onnx",
    out: str | Path | None = None,
    *,
    figures: Figures | None = None,
) -> Path:
    """Write a network as `to`, float32 or int8 as its numerics say, with a sidecar where its input contract is known.

    `out` defaults to the model file's name with the format's ending.

    Raises:
        UsageError: an unknown format, or a network in memory without `out`.
        PocketcnnError: the model file cannot be read, or the disk cannot be written.
    """
    if to not in FORMATS:
        raise UsageError(f"There is no export to {to!r}; choose one of {', '.join(FORMATS)}.")
    network = network_or_path if isinstance(network_or_path, GraphNetwork) else load(Path(network_or_path))
    if out is None:
        if isinstance(network_or_path, GraphNetwork):
            raise UsageError("Say where the file goes: export(network, 'onnx', 'model.onnx').")
        out = Path(network_or_path).with_suffix(f".{to}")
    path = Path(out)
    graph = network.graph if network.numerics else for_inference(network.graph)
    write_onnx(path, graph)
    describe(path, network, figures or {})
    return path


def describe(artefact: Path, network: GraphNetwork, figures: Figures) -> None:
    """Write the sidecar of an artefact that was exported from `network`, if its input contract is known."""
    if network.info.input is not None:
        told = {SPLIT_SEED: network.info.split_seed, **figures}
        write_sidecar(artefact, network.info.input, network.info.classes, numerics_name(network), told)


def numerics_name(network: GraphNetwork) -> str:
    """``int8`` (or fewer bits) for a quantized network, else ``float32``."""
    bits = {form.bits for form in network.numerics.weights.values()}
    return "float32" if not bits else f"int{max(bits)}"
