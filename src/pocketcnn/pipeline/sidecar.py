"""`model.json`, the sidecar: everything that is needed to run the deployable file without pocketcnn."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketcnn.errors import PocketcnnError
from pocketcnn.files import write_text
from pocketcnn.graph import InputContract
from pocketcnn.records.file_check import FileCheckRecord
from pocketcnn.report.contract import steps
from pocketcnn.report.standalone import SCRIPT, has_script, script

Figures = Mapping[str, float | int | str | bool]
"""Measured figures of an artefact, by name."""

SPLIT_SEED = "split_seed"
"""Name of the figure with the seed of the split, so that a later evaluation uses the same test images."""

FORMAT = "pocketcnn sidecar 1"


class Sidecar(BaseModel):
    """The contents of `model.json`.

    Attributes:
        runtime: the runtime that the artefact is for, by its name in pocketcnn.
        steps: the preprocessing from image to input tensor, in words.
        companions: SHA-256 checksums of further files of the artefact, by name.
        check: what the check of the file found; None in the sidecars of earlier versions.
        weights: source, file, SHA-256 and licence of the weights that the training began with; {} if it began with random ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    file: str
    sha256: str
    bytes: int
    companions: Mapping[str, str] = Field(default_factory=dict)
    numerics: str
    runtime: str = "onnxruntime"
    input: InputContract
    steps: tuple[str, ...]
    output: str = (
        "logits, float32 of shape (N, classes): the largest is the predicted class, softmax gives probabilities"
    )
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    check: FileCheckRecord | None = None
    weights: Mapping[str, str] = Field(default_factory=dict)
    figures: Figures = Field(default_factory=dict)


def sidecar_path(artefact: Path) -> Path:
    """The path of the sidecar: beside the artefact, with the suffix .json."""
    return artefact.with_suffix(".json")


def write_sidecar(
    artefact: Path,
    contract: InputContract,
    classes: tuple[str, ...],
    numerics: str,
    figures: Figures,
    *,
    companions: Sequence[Path] = (),
    notes: Sequence[str] = (),
    channels_last: bool = False,
    runtime: str = "onnxruntime",
    check: FileCheckRecord | None = None,
    weights: Mapping[str, str] = MappingProxyType({}),
) -> Sidecar:
    """Write the sidecar of an existing artefact and its `companions`, and `predict.py`, which runs it without pocketcnn.

    The input is (N, H, W, C) if `channels_last`. There is no script for a runtime that needs PyTorch.
    """
    sidecar = Sidecar(
        file=artefact.name,
        sha256=_checksum(artefact),
        bytes=sum(path.stat().st_size for path in (artefact, *companions)),
        numerics=numerics,
        runtime=runtime,
        input=contract,
        companions={path.name: _checksum(path) for path in companions},
        steps=tuple(steps(contract, channels_last=channels_last)),
        classes=classes,
        notes=tuple(notes),
        check=check,
        weights=dict(weights),
        figures=dict(figures),
    )
    write_text(sidecar_path(artefact), sidecar.model_dump_json(indent=2) + "\n")
    if has_script(runtime):
        write_text(artefact.with_name(SCRIPT), script(runtime, artefact.name))
    return sidecar


def read_sidecar(artefact: Path) -> Sidecar:
    """The sidecar beside an artefact.

    Raises:
        PocketcnnError: it is missing or invalid, or its checksum differs from that of the artefact.
    """
    path = sidecar_path(artefact)
    try:
        sidecar = Sidecar.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PocketcnnError(
            f"{artefact} has no sidecar {path.name} beside it ({error.strerror}), so its input and classes are unknown. "
            "Copy the sidecar too, or use the .safetensors model file."
        ) from error
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PocketcnnError(f"{path} is not a sidecar of pocketcnn: {str(error).splitlines()[0]}.") from error
    for name, checksum in {artefact.name: sidecar.sha256, **sidecar.companions}.items():
        if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
            raise PocketcnnError(f"{path} names a file outside its folder: {name!r}. It is not a sidecar of pocketcnn.")
        if _checksum(artefact.with_name(name)) != checksum:
            raise PocketcnnError(f"{path} describes another file than {name}: the checksums differ. Export it again.")
    return sidecar


def _checksum(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        PocketcnnError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PocketcnnError(f"Cannot read {path}: {error.strerror}.") from error
