"""`bench`: compares networks and files on several runtimes. The measurement itself is in `runtimes/side_by_side.py`."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketcnn.compression.deployed import PRECISIONS
from pocketcnn.compression.quantization.quantize import quantize
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.models.pretrained.source import demands_weights
from pocketcnn.pipeline.deploy.bench_images import BenchImages, bench_images, initialize_batch_norm_statistics
from pocketcnn.pipeline.deploy.export import numerics_name
from pocketcnn.pipeline.networks import MODEL, is_file, kind_of, load_network, open_network
from pocketcnn.runtimes.base import Runtime
from pocketcnn.runtimes.machine import Machine, this_machine
from pocketcnn.runtimes.registry import get_runtime, runtime_names
from pocketcnn.runtimes.side_by_side import BenchmarkCase, BenchmarkPlan, BenchmarkRow, Reference, Say, side_by_side

ALL = "all"
DEFAULT_RUNTIME = "onnxruntime"
AS_STORED = "as stored"
"""Numerics of a runtime's file, which is run as it is."""


@dataclass(frozen=True)
class Subject:
    """A network, or a file of a runtime, to compare. `fresh` means random weights that were never trained."""

    name: str
    network: GraphNetwork | None = None
    artefact: Path | None = None
    fresh: bool = False


@dataclass(frozen=True)
class BenchResult:
    """The rows of the comparison, notes on them, and the machine."""

    lines: tuple[BenchmarkRow, ...]
    notes: tuple[str, ...]
    machine: Machine

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON; times in seconds."""
        return {"entries": self.lines, "notes": self.notes, "machine": self.machine}


def subject_of(
    source: str | Path,
    shape: tuple[int, int, int] | None = None,
    *,
    width: float | None = None,
    classes: int | None = None,
) -> Subject:
    """The subject for a model file, a file of a runtime, or a network by name (with random weights, if it names none).

    Args:
        source: as in `open_network`, like the other arguments; or a file of a runtime.

    Raises:
        UsageError: there is no such file or network, or no runtime supports such files.
        PocketcnnError: a model file is damaged.
    """
    name = str(source)
    if not is_file(name):
        network = open_network(name, shape, width=width, classes=classes)
        return Subject(name, network, fresh=not demands_weights(name))
    kinds = {get_runtime(each).suffix for each in runtime_names()} - {MODEL}
    if kind_of(Path(name), MODEL, *sorted(kinds)) == MODEL:
        return Subject(name, load_network(Path(name)))
    return Subject(name, artefact=Path(name))


def bench(
    subjects: Sequence[Subject],
    *,
    runtimes: Sequence[str] = (),
    numerics: Sequence[str] = (),
    images: Sequence[Path] = (),
    plan: BenchmarkPlan | None = None,
    say: Say = lambda _: None,
) -> BenchResult:
    """Measure `subjects` on `runtimes`, taking turns in one run.

    Args:
        subjects: a network is exported to the file of each runtime; a file runs on the runtimes that support it.
        runtimes: names, or ``("all",)``. Default: onnxruntime for a network, and a supporting runtime for a file.
        numerics: ``float32``, ``int8`` or both. A float network is quantized for int8. Default: as the network is.
        images: image files for calibration and for comparing the outputs; random images if none are given.
        plan: threads, batch size, launches, and the stop rule of the timing.
        say: called with each status message.

    Raises:
        UsageError: an unknown runtime or numerics, a file that none of the runtimes supports, or an option without effect.
        PocketcnnError: an image cannot be read.
    """
    if unknown := [precision for precision in numerics if precision not in PRECISIONS]:
        raise UsageError(f"There are no numerics {unknown[0]!r}; choose from {', '.join(PRECISIONS)}.")
    _check_used(subjects, runtimes, numerics, images)
    with tempfile.TemporaryDirectory(prefix="pocketcnn-bench-") as folder:
        cases: list[BenchmarkCase] = []
        for index, subject in enumerate(subjects):
            say(f"Preparing {subject.name}")
            chosen = chosen_runtimes(subject, runtimes)
            if subject.network is None:
                cases += [_stored(subject, runtime) for runtime in chosen]
            else:
                place = Path(folder) / str(index)
                place.mkdir()
                cases += _written(subject, subject.network, chosen, numerics, images, place)
        lines = side_by_side(cases, plan or BenchmarkPlan(), say)
    return BenchResult(lines, _notes(subjects, lines, bool(images)), this_machine())


def _check_used(
    subjects: Sequence[Subject], runtimes: Sequence[str], numerics: Sequence[str], images: Sequence[Path]
) -> None:
    """Check that every option has an effect for at least one subject."""
    chosen = [{runtime.name for runtime in chosen_runtimes(subject, runtimes)} for subject in subjects]
    unused = [name for name in runtimes if name != ALL and not any(name in used for used in chosen)]
    if unused:
        raise UsageError(
            f"--runtime {', '.join(unused)}: no given file runs on it. Leave it out, or give a model file."
        )
    given = [option for option, value in (("--numerics", numerics), ("--images", images)) if value]
    if given and all(subject.network is None for subject in subjects):
        raise UsageError(
            f"{' and '.join(given)}: only for networks; files of a runtime run as they are. Give a model file (.safetensors) "
            "or a name, or leave it out."
        )


def chosen_runtimes(subject: Subject, names: Sequence[str]) -> list[Runtime]:
    """The runtimes among `names` that support a subject: all for a network, those of its suffix for a file.

    Raises:
        UsageError: there is no such runtime, or none of them supports the file.
    """
    requested = runtime_names() if tuple(names) == (ALL,) else tuple(names)
    if subject.artefact is None:
        return [get_runtime(name) for name in requested or (DEFAULT_RUNTIME,)]
    suffix = subject.artefact.suffix.lower()
    readers = [runtime for runtime in map(get_runtime, requested or runtime_names()) if runtime.suffix == suffix]
    if not readers:
        known = ", ".join(sorted({get_runtime(name).suffix for name in runtime_names()}))
        supported_by = ", ".join(requested) or "any runtime"
        raise UsageError(
            f"{subject.artefact} is not a file for {supported_by}. Supported suffixes: {known}. Model files run on all."
        )
    if requested:
        return readers
    preferred = [runtime for runtime in readers if runtime.name == DEFAULT_RUNTIME]
    return preferred or readers[:1]


def _stored(subject: Subject, runtime: Runtime) -> BenchmarkCase:
    reason = runtime.available() or ""
    return BenchmarkCase(subject.name, AS_STORED, runtime.name, None if reason else subject.artefact, reason=reason)


def _written(
    subject: Subject,
    network: GraphNetwork,
    runtimes: Sequence[Runtime],
    numerics: Sequence[str],
    images: Sequence[Path],
    folder: Path,
) -> list[BenchmarkCase]:
    """A case for each numerics and each runtime."""
    shown = bench_images(network, images)
    if subject.fresh:
        initialize_batch_norm_statistics(network, shown.calibration)
    cases = []
    for numeric in numerics or (numerics_name(network),):
        try:
            precision = in_numerics(network, numeric, shown)
        except PocketcnnError as error:
            cases += [
                BenchmarkCase(subject.name, numeric, runtime.name, None, reason=str(error)) for runtime in runtimes
            ]
            continue
        reference = Reference(
            precision, shown.comparison, network if precision.numerics and not network.numerics else None
        )
        cases += [_artefact(subject.name, numeric, runtime, reference, folder) for runtime in runtimes]
    return cases


def in_numerics(network: GraphNetwork, numerics: str, images: BenchImages) -> GraphNetwork:
    """The network in `numerics`: as it is, or quantized with the calibration images.

    Raises:
        PocketcnnError: float32 is requested of a quantized network.
    """
    if numerics == numerics_name(network):
        return network
    if network.numerics:
        raise PocketcnnError(f"the network is {numerics_name(network)} and cannot be converted to {numerics}")
    return quantize(network, images.calibration)


def _artefact(name: str, numerics: str, runtime: Runtime, reference: Reference, folder: Path) -> BenchmarkCase:
    if reason := runtime.available():
        return BenchmarkCase(name, numerics, runtime.name, None, reason=reason)
    path = folder / f"{numerics}-{runtime.name}{runtime.suffix}"
    channels, height, width = reference.network.graph.input_shape
    try:
        runtime.write(reference.network, path)
    except PocketcnnError as error:
        return BenchmarkCase(name, numerics, runtime.name, None, reason=str(error))
    return BenchmarkCase(name, numerics, runtime.name, path, (channels, height, width), reference)


def _notes(subjects: Sequence[Subject], lines: Sequence[BenchmarkRow], real: bool) -> tuple[str, ...]:
    """Notes on how to read the table."""
    notes = []
    compared = any(line.parity for line in lines)
    if compared and not real:
        notes.append(
            "The images are random: agreement and int8 ranges are not representative of photographs. Give --images FOLDER."
        )
    if any(subject.fresh for subject in subjects):
        notes.append(
            "Networks by name have random weights. Their latency is that of trained networks, but their logits are close: "
            "compare the worst error, not the agreement."
        )
    if any(line.latency and not line.latency.converged for line in lines):
        notes.append("For some rows the time limit was reached before the median was known to 3 %. Increase --seconds.")
    exact = {
        line.runtime: line.latency.session.settings.get("LP_TRANSFORMS_MODE")
        for line in lines
        if line.latency and line.numerics != "float32"
    }
    if exact.get("openvino") == "NO":
        notes.append(
            "OpenVINO runs int8 networks in float arithmetic here: its integer kernels saturate on this processor (no VNNI)."
        )
    return tuple(notes)
