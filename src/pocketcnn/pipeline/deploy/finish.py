"""The last step of `fit`, `compress` and `search`: deployment, then result, report and table of stages."""

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
from pocketcnn.pipeline.deploy.next_choices import next_choices
from pocketcnn.pipeline.deploy.notes import notes_on, warnings_on
from pocketcnn.records.result import Candidate, DataRecord, FitResult
from pocketcnn.report import Example, write_csv, write_report
from pocketcnn.runtimes import this_machine
from pocketcnn.targets import Budget

LIBRARIES = ("pocketcnn", "torch", "onnx", "onnxruntime", "numpy")
EXAMPLES, MOST_EXAMPLES = 12, 200
"""Number of test images in the report; the larger one where there are so many classes."""


@dataclass(frozen=True)
class RunConfig:
    """The request: budget as given, images, output folder, seed, command line, and start time (`time.monotonic`)."""

    budget: Budget
    folder: ImageFolder
    out: Path
    seed: int
    command: str
    started: float
    force: bool = False
    """Keep a deployable file that does not compute what the network computes."""


def finish(
    parent: GraphNetwork,
    run: CompressionRun,
    config: RunConfig,
    compressor: Compressor,
    candidates: Sequence[Candidate] = (),
    plan: CandidateNetwork | None = None,
) -> FitResult:
    """Compress and deploy `parent`, and write `result.json`, `report.html` and `stages.csv` beside the file."""
    deployment = deploy(parent, run, config.out, compressor, force=config.force)
    result = FitResult(
        version=version("pocketcnn"),
        command=config.command,
        budget=str(config.budget),
        met=all(limit.kept for limit in deployment.limits),
        closest_miss=deployment.closest_miss,
        limits=deployment.limits,
        artefact=deployment.artefact,
        stored=deployment.model_file,
        parity=deployment.parity,
        check=deployment.check,
        latencies=deployment.latencies,
        stages=tuple(run.stages),
        candidates=tuple(candidates),
        input=deployment.contract,
        data=data_record(config.folder),
        lineage=deployment.network.info.lineage,
        machine=machine_record(),
        seed=config.seed,
        seconds=time.monotonic() - config.started,
        next_choices=next_choices(run.stages, deployment.artefact, run.trainings.effort),
        notes=notes_on(plan, deployment),
        warnings=warnings_on(run.stages, deployment, run.method),
    )
    write_text(config.out / "result.json", result.model_dump_json(indent=2) + "\n")
    write_csv(result, config.out / "stages.csv")
    write_report(result, config.out / "report.html", images=examples(deployment, config.folder, config.out))
    run.workspace.clear()
    return result


def machine_record() -> dict[str, str | int | bool | list[str]]:
    """The machine and the library versions of the measurements."""
    machine = this_machine()
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in asdict(machine).items()},
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }


def data_record(folder: ImageFolder) -> DataRecord:
    """The folder of images as a record for the report."""
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


def examples(deployment: Deployment, folder: ImageFolder, out: Path) -> list[Example]:
    """Test images with the predictions of the deployed file, from every class: misclassified ones first, then correct ones."""
    predicted, probability = predictions(out / deployment.artefact.file, deployment.test.images)
    labels = [sample.label for sample in folder.test]
    return [
        Example(
            image=load_image(folder.test[index].path, deployment.contract.channels, deployment.contract.deep_range),
            true=folder.classes[labels[index]],
            predicted=folder.classes[int(predicted[index])],
            probability=float(probability[index]),
        )
        for index in shown_images(labels, [int(each) for each in predicted])
    ]


def shown_images(labels: Sequence[int], predicted: Sequence[int]) -> list[int]:
    """Indices of the test images to show: of every class in turn, misclassified ones first; at least one of each class.

    They are ordered by class. There are `EXAMPLES` of them, more if there are more classes, and at most `MOST_EXAMPLES`.
    """
    of_class: dict[int, list[int]] = {}
    for index in sorted(range(len(labels)), key=lambda index: (predicted[index] == labels[index], index)):
        of_class.setdefault(labels[index], []).append(index)
    longest = max(map(len, of_class.values()), default=0)
    in_turn = [
        of_class[label][place] for place in range(longest) for label in sorted(of_class) if place < len(of_class[label])
    ]
    chosen = in_turn[: min(MOST_EXAMPLES, max(EXAMPLES, len(of_class)))]
    return sorted(chosen, key=lambda index: (labels[index], predicted[index] == labels[index], index))
