"""The end that `fit` and `compress` share: deliver the file, and write down everything that was found out."""

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from pocketcnn.data import ImageFolder, load_image
from pocketcnn.files import write_text
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.compression_run import CompressionRun, Compressor
from pocketcnn.pipeline.deploy.deploy import Deployment, deploy, predictions
from pocketcnn.pipeline.deploy.notes import notes_on, warnings_on
from pocketcnn.records.result import Candidate, DataRecord, FitResult
from pocketcnn.report import Example, write_csv, write_report
from pocketcnn.runtimes import this_machine
from pocketcnn.targets import Budget

LIBRARIES = ("pocketcnn", "torch", "onnx", "onnxruntime", "numpy")
EXAMPLES = 12
"""Test images that the report shows, mistakes first."""


@dataclass(frozen=True)
class RunConfig:
    """What was asked for: the budget as given, the images, where the result goes, and when it began."""

    budget: Budget
    folder: ImageFolder
    out: Path
    seed: int
    command: str
    started: float


def finish(
    parent: GraphNetwork,
    run: CompressionRun,
    config: RunConfig,
    compressor: Compressor,
    candidates: Sequence[Candidate] = (),
    plan: CandidateNetwork | None = None,
) -> FitResult:
    """Shrink `parent` to the budget, deliver it, and leave `result.json`, `report.html` and `stages.csv` beside it."""
    delivered = deploy(parent, run, config.out, compressor)
    result = FitResult(
        version=version("pocketcnn"),
        command=config.command,
        budget=str(config.budget),
        met=all(limit.kept for limit in delivered.limits),
        closest_miss=delivered.closest_miss,
        limits=delivered.limits,
        artefact=delivered.artefact,
        stored=delivered.stored,
        parity=delivered.parity,
        latencies=delivered.latencies,
        stages=tuple(run.stages),
        candidates=tuple(candidates),
        input=delivered.contract,
        data=data_record(config.folder),
        lineage=delivered.network.info.lineage,
        machine=machine_record(),
        seed=config.seed,
        seconds=time.monotonic() - config.started,
        notes=notes_on(plan, delivered),
        warnings=warnings_on(run.stages, delivered, run.method),
    )
    write_text(config.out / "result.json", result.model_dump_json(indent=2) + "\n")
    write_csv(result, config.out / "stages.csv")
    write_report(result, config.out / "report.html", images=examples(delivered, config.folder, config.out))
    run.workspace.clear()
    return result


def machine_record() -> dict[str, str | int | bool | list[str]]:
    """The machine and the versions that the figures were measured with."""
    machine = this_machine()
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in asdict(machine).items()},
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }


def data_record(folder: ImageFolder) -> DataRecord:
    """The folder as the report shows it."""
    return DataRecord(
        name=folder.root.resolve().name,
        classes=folder.classes,
        train=len(folder.train),
        val=len(folder.val),
        test=len(folder.test),
        fingerprint=folder.fingerprint,
        notes=folder.notes,
        problems=tuple(folder.report.summary()),
    )


def examples(delivered: Deployment, folder: ImageFolder, out: Path) -> list[Example]:
    """Test images with what the deployed file says of them: its mistakes, then some that it got right."""
    predicted, probability = predictions(out / delivered.artefact.file, delivered.test.images)
    wrong = [index for index, sample in enumerate(folder.test) if predicted[index] != sample.label]
    right = [index for index in range(len(folder.test)) if index not in set(wrong)]
    spread = right[:: max(1, len(right) // EXAMPLES)]
    return [
        Example(
            image=load_image(folder.test[index].path, delivered.contract.channels),
            true=folder.classes[folder.test[index].label],
            predicted=folder.classes[int(predicted[index])],
            probability=float(probability[index]),
        )
        for index in (wrong[: EXAMPLES - 2] + spread)[:EXAMPLES]
    ]
