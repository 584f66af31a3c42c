"""`export`: writes a network as a deployable file with its sidecar, if the file computes what the network computes."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.files import atomic_files
from pocketcnn.graph import GraphNetwork
from pocketcnn.models.pretrained.source import has_weights
from pocketcnn.pipeline.deploy.bench_images import image_files, some_images
from pocketcnn.pipeline.exclusive import exclusive_file, writes_to
from pocketcnn.pipeline.pretrained import source_network
from pocketcnn.pipeline.published_network import weights_of
from pocketcnn.pipeline.sidecar import SPLIT_SEED, Figures, write_sidecar
from pocketcnn.records.file_check import FileCheckRecord, record_of
from pocketcnn.runtimes.base import Runtime, artefact_files
from pocketcnn.runtimes.check_images import GIVEN
from pocketcnn.runtimes.file_check import check_file
from pocketcnn.runtimes.registry import export_formats, get_runtime

FORMATS: Mapping[str, str] = export_formats()
"""Export formats, each with the name of its runtime."""


class WrongFile(PocketcnnError):
    """An exported file does not compute what its network computes; it was not kept."""

    def __init__(self, path: Path, check: FileCheckRecord) -> None:
        super().__init__(
            f"{path} was not written. {check.words()} This is a fault of the export or of the runtime, please report it. "
            "--force (in Python: force=True) keeps the file all the same."
        )


@dataclass(frozen=True)
class Exported:
    """A written file, and what its check found."""

    path: Path
    check: FileCheckRecord


def export(
    network_or_path: GraphNetwork | str | Path,
    to: str = "onnx",
    out: str | Path | None = None,
    *,
    images: Tensor | None = None,
    force: bool = False,
    figures: Figures | None = None,
) -> Path:
    """Write a network in the format `to`, in float32 or int8 as the network is, and a sidecar if it has an input contract.

    The file is run in its runtime and compared with the network in PyTorch, see `pocketcnn.runtimes.file_check.check_file`. It
    gets its name only if it is right. If the runtime is not installed, a warning says that the file was not checked.

    Args:
        network_or_path: a network, a model file, or the name of trained weights.
        to: ``onnx`` (for ONNX Runtime) or another of `FORMATS`.
        out: the file to write; beside the model file, with the suffix of the format, if not given.
        images: (N, C, H, W), preprocessed: for the check, which takes up to 6. Random ones if not given.
        force: keep a file that is found wrong, with a warning.
        figures: measured figures for the sidecar.

    Returns:
        The written file.

    Raises:
        UsageError: an unknown format, a network in memory without `out`, or a missing library.
        PocketcnnError: the model file cannot be read, the runtime does not support a layer of the network (the message
            names it), the file does not compute what the network computes (the message names the first layer that differs), or
            it cannot be written.
    """
    runtime = runtime_of_format(to)
    named = not isinstance(network_or_path, GraphNetwork) and has_weights(str(network_or_path))
    network = network_or_path if isinstance(network_or_path, GraphNetwork) else source_network(network_or_path)
    if out is None:
        if named or isinstance(network_or_path, GraphNetwork):
            raise UsageError(f"Give the file to write: export(network, {to!r}, 'model{runtime.suffix}').")
        out = default_path(Path(network_or_path), to)
    exported = export_checked(network, to, Path(out), images=images, force=force, figures=figures)
    if exported.check.unchecked or exported.check.problem:
        warnings.warn(f"{exported.path}: {exported.check.words()}", stacklevel=2)
    return exported.path


@writes_to("out", exclusive_file)
def export_checked(
    network: GraphNetwork,
    to: str,
    out: Path,
    *,
    images: Tensor | None = None,
    force: bool = False,
    figures: Figures | None = None,
) -> Exported:
    """The same, with the record of the check instead of warnings.

    Raises:
        PocketcnnError: as `export`.
    """
    runtime = runtime_of_format(to)
    with atomic_files(out) as part:
        runtime.write(network, part)
        found = check_file(network, part, runtime, images)
        check = record_of(replace(found, problem=found.problem.replace(str(part), str(out))))
        if check.problem and not force:
            raise WrongFile(out, check)
    describe(out, network, figures or {}, to, check)
    return Exported(out, check)


def images_for(network: GraphNetwork, folder: Path) -> Tensor:
    """Some images of a folder (N, C, H, W), preprocessed for `network`, for the check of a file.

    Raises:
        UsageError: it is not a folder, or it has no images.
        PocketcnnError: a file cannot be read.
    """
    return some_images(network, image_files(folder), GIVEN)


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


def describe(
    artefact: Path, network: GraphNetwork, figures: Figures, to: str = "onnx", check: FileCheckRecord | None = None
) -> None:
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
        runtime=runtime.name,
        check=check,
        weights=weights_of(network.info),
    )


def numerics_name(network: GraphNetwork) -> str:
    """``int8`` (or fewer bits) for a quantized network, else ``float32``."""
    bits = {precision.bits for precision in network.numerics.weights.values()}
    return "float32" if not bits else f"int{max(bits)}"
