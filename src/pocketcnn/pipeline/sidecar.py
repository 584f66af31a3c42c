"""`model.json`: what someone without pocketcnn needs to run the deployable file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pocketcnn.errors import PocketcnnError
from pocketcnn.files import write_text
from pocketcnn.graph import InputContract
from pocketcnn.report.contract import steps

Figures = Mapping[str, float | int | str | bool]
"""What was measured of an artefact, by name."""

SPLIT_SEED = "split_seed"
"""Name of the figure that says how the images were split, so that an evaluation later finds the same test images."""

FORMAT = "pocketcnn sidecar 1"

INT8_NOTE = (
    "On x86 processors without VNNI (most before 2020) ONNX Runtime multiplies int8 by uint8 in 16 bits, which can overflow: "
    "set the session option session.x64quantprecision to 1 there (onnxruntime 1.31 or newer). pocketcnn's own runtime sees to it."
)


class Sidecar(BaseModel):
    """The contents of `model.json`. `steps` says in words how an image becomes the input tensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    file: str
    sha256: str
    bytes: int
    numerics: str
    input: InputContract
    steps: tuple[str, ...]
    output: str = "logits, float32 of shape (N, classes): the largest is the answer, softmax makes probabilities"
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    figures: Figures = Field(default_factory=dict)


def sidecar_path(artefact: Path) -> Path:
    """Where the sidecar of an artefact lies: beside it, ending in .json."""
    return artefact.with_suffix(".json")


def write_sidecar(
    artefact: Path,
    contract: InputContract,
    classes: tuple[str, ...],
    numerics: str,
    figures: Figures,
) -> Sidecar:
    """Write the sidecar of an artefact that is there already."""
    data = artefact.read_bytes()
    sidecar = Sidecar(
        file=artefact.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        numerics=numerics,
        input=contract,
        steps=tuple(steps(contract)),
        classes=classes,
        notes=() if numerics == "float32" else (INT8_NOTE,),
        figures=dict(figures),
    )
    write_text(sidecar_path(artefact), sidecar.model_dump_json(indent=2) + "\n")
    return sidecar


def read_sidecar(artefact: Path) -> Sidecar:
    """The sidecar beside an artefact.

    Raises:
        PocketcnnError: it is absent, is not one, or describes another file than the one that lies there.
    """
    path = sidecar_path(artefact)
    try:
        sidecar = Sidecar.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PocketcnnError(
            f"{artefact} has no sidecar {path.name} beside it ({error.strerror}), so its input and classes are unknown. "
            "Copy it from where the artefact was made, or use the .safetensors model file."
        ) from error
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PocketcnnError(f"{path} is not a sidecar of pocketcnn: {str(error).splitlines()[0]}.") from error
    if hashlib.sha256(artefact.read_bytes()).hexdigest() != sidecar.sha256:
        raise PocketcnnError(
            f"{path} describes another file than {artefact.name}: the checksums differ. Export it again."
        )
    return sidecar
