"""`export`: a network becomes a deployable file with its sidecar."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.graph.model_file import load
from pocketcnn.pipeline.sidecar import SPLIT_SEED, Figures, write_sidecar
from pocketcnn.runtimes.base import Runtime, artefact_files
from pocketcnn.runtimes.registry import get_runtime


@dataclass(frozen=True)
class Format:
    """What one can export to: the runtime whose file it is, and what its sidecar must say.

    `note` is for whoever runs the file, `int8_note` for whoever runs an int8 one.
    """

    runtime: str
    channels_last: bool = False
    note: str = ""
    int8_note: str = ""

    def notes(self, numerics: str) -> tuple[str, ...]:
        """What to know about a file in `numerics`."""
        return tuple(note for note in (self.note, "" if numerics == "float32" else self.int8_note) if note)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "onnx": Format(
            "onnxruntime",
            int8_note="On x86 processors without VNNI (most before 2020) ONNX Runtime multiplies int8 by uint8 in 16 bits, "
            "which can overflow: set the session option session.x64quantprecision to 1 there (onnxruntime 1.31 or newer). "
            "pocketcnn's own runtime sees to it.",
        ),
        "openvino": Format(
            "openvino",
            note="Compile it with INFERENCE_PRECISION_HINT=f32: on some processors OpenVINO computes in bfloat16 otherwise.",
            int8_note="On x86 processors without VNNI (most before 2020) OpenVINO multiplies int8 by uint8 in 16 bits, which "
            "can overflow: set LP_TRANSFORMS_MODE=NO there. pocketcnn's own runtime sees to it.",
        ),
        "litert": Format("litert", channels_last=True),
        "ncnn": Format(
            "ncnn",
            note="ncnn takes one image (C, H, W) at a time. Switch off use_fp16_packed, use_fp16_storage, use_fp16_arithmetic "
            "and use_bf16_storage for answers in full precision.",
        ),
        "executorch": Format("executorch"),
    }
)


def export(
    network_or_path: GraphNetwork | str | Path,
    to: str = "onnx",
    out: str | Path | None = None,
    *,
    figures: Figures | None = None,
) -> Path:
    """Write a network as `to`, float32 or int8 as its numerics say, with a sidecar where its input contract is known.

    `to` is ``onnx`` (the smallest, for ONNX Runtime), or ``openvino``, ``litert``, ``ncnn`` or ``executorch``: the file of
    that runtime. `out` defaults to the model file's name with the format's ending.

    Raises:
        UsageError: an unknown format, a network in memory without `out`, or a library that is needed is absent.
        PocketcnnError: the model file cannot be read, the runtime cannot take a layer of the network (it is named),
            or the disk cannot be written.
    """
    runtime = runtime_of_format(to)
    network = network_or_path if isinstance(network_or_path, GraphNetwork) else load(Path(network_or_path))
    if out is None:
        if isinstance(network_or_path, GraphNetwork):
            raise UsageError(f"Say where the file goes: export(network, {to!r}, 'model{runtime.suffix}').")
        out = default_path(Path(network_or_path), to)
    path = runtime.write(network, Path(out))
    describe(path, network, figures or {}, to)
    return path


def runtime_of_format(to: str) -> Runtime:
    """The runtime whose file the format `to` is.

    Raises:
        UsageError: there is no such format.
    """
    if to not in FORMATS:
        raise UsageError(f"There is no export to {to!r}; choose one of {', '.join(FORMATS)}.")
    return get_runtime(FORMATS[to].runtime)


def default_path(file: Path, to: str) -> Path:
    """Where the export of a model file goes if nothing is said: beside it."""
    return file.with_suffix(runtime_of_format(to).suffix)


def describe(artefact: Path, network: GraphNetwork, figures: Figures, to: str = "onnx") -> None:
    """Write the sidecar of an artefact that was exported from `network`, if its input contract is known."""
    if network.info.input is None:
        return
    numerics, form = numerics_name(network), FORMATS[to]
    write_sidecar(
        artefact,
        network.info.input,
        network.info.classes,
        numerics,
        {SPLIT_SEED: network.info.split_seed, **figures},
        companions=artefact_files(get_runtime(form.runtime), artefact)[1:],
        notes=form.notes(numerics),
        channels_last=form.channels_last,
    )


def numerics_name(network: GraphNetwork) -> str:
    """``int8`` (or fewer bits) for a quantized network, else ``float32``."""
    bits = {form.bits for form in network.numerics.weights.values()}
    return "float32" if not bits else f"int{max(bits)}"
