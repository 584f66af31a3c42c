"""Deployment: write the file, compare it with PyTorch, measure it, and check it against the budget."""

import hashlib
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pocketcnn.compression.deployed import Written, artefact_bytes, in_precision
from pocketcnn.compression.evaluator import figures
from pocketcnn.compression.latency import opened
from pocketcnn.graph import Graph, GraphNetwork, InputContract
from pocketcnn.graph.model_file import file_bytes, save, smallest_coding
from pocketcnn.pipeline.compression_run import CompressedNetwork, CompressionRun, Compressor
from pocketcnn.pipeline.deploy.export import describe, export_checked, numerics_name
from pocketcnn.pipeline.sidecar import Figures, sidecar_path
from pocketcnn.pipeline.workspace import fingerprint_of
from pocketcnn.records.baselines import Baselines
from pocketcnn.records.file_check import FileCheckRecord
from pocketcnn.records.result import (
    DEPLOYED,
    Accuracy,
    ArtefactRecord,
    LatencyRecord,
    LimitRecord,
    ModelFileRecord,
    ParityRecord,
)
from pocketcnn.runtimes import Latency, compare, get_runtime
from pocketcnn.runtimes.base import FloatArray
from pocketcnn.runtimes.parity import parity
from pocketcnn.runtimes.timing import DEFAULT_RULE
from pocketcnn.targets import Budget, Quantity, Verdict, load_target
from pocketcnn.targets.limits import DEFAULT_TARGET
from pocketcnn.targets.measuring import example_batch
from pocketcnn.training import wilson_interval

MODEL_FILE = "model.safetensors"
IntArray = npt.NDArray[np.int64]
BATCH = 64

TIGHTEN = 2
"""How often the budget is tightened and the network compressed again if the measured file misses it."""


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W) and their labels (N,)."""

    images: Tensor
    labels: Tensor


def predictions(artefact: Path, images: Tensor) -> tuple[IntArray, FloatArray]:
    """Predictions of the file on ONNX Runtime for images (N, C, H, W): class (N,) and its probability (N,)."""
    with closing(get_runtime("onnxruntime").build(artefact, threads=1)) as session:
        logits = np.concatenate(
            [session.run(images[start : start + BATCH].numpy()) for start in range(0, len(images), BATCH)]
        )
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    return logits.argmax(1), probabilities.max(1)


def artefact_accuracy(
    artefact: Path, data: LabelledImages, classes: int
) -> tuple[Accuracy, tuple[tuple[int, ...], ...]]:
    """Top-1 accuracy of the file itself on ONNX Runtime, and its confusion matrix [true][predicted]."""
    predicted, _ = predictions(artefact, data.images)
    labels = data.labels.numpy()
    confusion = np.zeros((classes, classes), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    right, total = int(confusion.trace()), len(labels)
    low, high = wilson_interval(right, total)
    return Accuracy(top1=right / total, low=low, high=high, images=total), tuple(map(tuple, confusion.tolist()))


def write_artefact(
    network: GraphNetwork, path: Path, val: LabelledImages, test: LabelledImages, *, force: bool = False
) -> tuple[ArtefactRecord, FileCheckRecord]:
    """Export `network` to `path` as ONNX, check the file, and evaluate it on `val` and `test`.

    Raises:
        WrongFile: the file does not compute what the network computes, and not `force`; there is then no file at `path`.
    """
    for earlier in (path, sidecar_path(path)):  # of an earlier attempt or run: they must not be taken for this one's
        earlier.unlink(missing_ok=True)
    check = export_checked(network, "onnx", path, images=val.images, force=force).check
    classes = network.graph.output_shape[0]
    validation, _ = artefact_accuracy(path, val, classes)
    accuracy, confusion = artefact_accuracy(path, test, classes)
    record = ArtefactRecord(
        file=path.name,
        bytes=path.stat().st_size,
        numerics=numerics_name(network),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        accuracy=accuracy,
        validation=validation,
        confusion=confusion,
        baselines=Baselines.of(confusion, accuracy.low),
    )
    return record, check


def write_model_file(network: GraphNetwork, path: Path, *, is_coded: bool) -> ModelFileRecord:
    """Save `network`, entropy-coded if `is_coded`, and record its size with and without coding."""
    coding = smallest_coding() if is_coded else None
    save(path, network, coding=coding)
    size = path.stat().st_size
    plain = len(file_bytes(network.graph.rebuilt(), network.info)) if is_coded else size
    return ModelFileRecord(file=path.name, bytes=size, coding=coding, plain_bytes=plain)


def is_coded(run: CompressionRun) -> bool:
    """Whether the model file is entropy-coded: if requested, or if the budget limits its size."""
    return run.method.entropy_code or bool(run.budget.limits_on(Quantity.CODED))


def check_parity(network: GraphNetwork, float_network: GraphNetwork, path: Path, images: Tensor) -> ParityRecord:
    """Compare the artefact at `path` with the network in PyTorch and with the float network, on images (N, C, H, W)."""
    found = parity(network, path, images, float_network=float_network)
    return ParityRecord(
        images=found.images,
        agreement=found.agreement,
        float_agreement=found.float_agreement if found.float_agreement is not None else found.agreement,
        worst_error=found.worst_error,
        mean_error=found.mean_error,
        first_difference=found.first_difference,
    )


def judge(
    network: GraphNetwork, path: Path, budget: Budget, coded_bytes: int
) -> tuple[tuple[Verdict, ...], tuple[LimitRecord, ...]]:
    """Check every limit of an absolute budget against the written files.

    Args:
        network: the deployed network.
        path: the deployable file.
        budget: without percentages.
        coded_bytes: size of the model file.
    """
    verdicts = budget.check(figures(Written(network.graph, path.read_bytes(), coded_bytes), budget, DEFAULT_RULE))
    records = tuple(
        LimitRecord(
            limit=str(verdict.limit),
            quantity=str(verdict.limit.quantity),
            bound=verdict.limit.bound,
            target=verdict.limit.target,
            value=verdict.figure.value,
            low=verdict.figure.low,
            high=verdict.figure.high,
            kept=verdict.kept,
            how=verdict.figure.how,
            estimated=verdict.figure.estimated,
        )
        for verdict in verdicts
    )
    return verdicts, records


def compare_latencies(
    shrunk: CompressedNetwork, parent: GraphNetwork, path: Path, budget: Budget
) -> list[LatencyRecord]:
    """Latency of the deployed file, its float version and its unpruned parent, on each target of the budget.

    They take turns, so that noise affects all alike. Targets without a runtime on this machine are left out. If there is no
    other, the default target is measured.
    """
    variants = {DEPLOYED: (shrunk.network.graph, path.read_bytes())}
    if shrunk.network.numerics:
        variants["the same in float32"] = _in_float(shrunk.float_network)
    if parent is not shrunk.float_network:
        variants["unpruned parent, float32"] = _in_float(parent)
    records = []
    present = [name for name in budget.targets if load_target(name).runtime is not None]
    for name in present or (DEFAULT_TARGET,):
        target = load_target(name)
        with ExitStack() as stack:
            sessions = [stack.enter_context(opened(graph, data, target)) for graph, data in variants.values()]
            found = compare(sessions, [example_batch(session) for session in sessions])
        records += [
            _latency_record(artefact, name, target.thread_count, latency)
            for artefact, latency in zip(variants, found.latencies, strict=True)
        ]
    return records


def _in_float(network: GraphNetwork) -> tuple[Graph, bytes]:
    graph = in_precision(network.graph, "float32")
    return graph, artefact_bytes(graph)


def _latency_record(artefact: str, target: str, threads: int, latency: Latency) -> LatencyRecord:
    return LatencyRecord(
        artefact=artefact,
        target=target,
        threads=threads,
        median=latency.median,
        p10=latency.p10,
        p90=latency.p90,
        repeats=latency.repeats,
        converged=latency.converged,
    )


@dataclass(frozen=True)
class Deployment:
    """The deployed network and everything that was measured of its files."""

    network: GraphNetwork
    float_network: GraphNetwork
    contract: InputContract
    test: LabelledImages
    artefact: ArtefactRecord
    model_file: ModelFileRecord
    limits: tuple[LimitRecord, ...]
    closest_miss: str
    parity: ParityRecord
    check: FileCheckRecord
    latencies: tuple[LatencyRecord, ...]


def deploy(
    parent: GraphNetwork, run: CompressionRun, out: Path, compressor: Compressor, *, force: bool = False
) -> Deployment:
    """Compress `parent` to the budget by `compressor`, and write the files to deploy it to `out`.

    These are `model.safetensors`, `model.onnx`, `model.json` and `predict.py`.

    The written file is checked against the budget. If it misses a limit, because a repeated measurement of the latency
    differs, the limit is tightened by the miss and the network is compressed again, up to `TIGHTEN` times.

    Raises:
        WrongFile: `model.onnx` does not compute what the network computes, and not `force`. The network is in
            `model.safetensors` all the same.
    """
    val, test = LabelledImages(*run.sets.val.as_tensors()), LabelledImages(*run.sets.test.as_tensors())
    path = out / "model.onnx"
    target = run.budget
    first_stages = tuple(run.stages)
    for attempt in range(TIGHTEN + 1):
        run.stages[:] = first_stages
        shrunk = compressor(parent, run.with_budget(target, attempt))
        model_file = write_model_file(shrunk.network, out / MODEL_FILE, is_coded=is_coded(run))
        artefact, file_check = write_artefact(shrunk.network, path, val, test, force=force)
        verdicts, limits = judge(shrunk.network, path, run.budget, model_file.bytes)
        missed = [verdict for verdict in verdicts if not verdict.kept]
        if not missed or not shrunk.within_reach or attempt == TIGHTEN:
            break
        run.say(f"The file misses the budget ({missed[0]}); compressing it further")
        key = f"{target} tightened for attempt {attempt + 2} of {fingerprint_of(parent)}"
        target = run.workspace.budget(key, partial(_tightened, target, missed))
    checked = check_parity(shrunk.network, shrunk.float_network, path, val.images)
    deployment = Deployment(
        network=shrunk.network,
        float_network=shrunk.float_network,
        contract=run.sets.val.contract,
        test=test,
        artefact=artefact,
        model_file=model_file,
        limits=limits,
        closest_miss="; ".join(map(str, missed)),
        parity=checked,
        check=file_check,
        latencies=tuple(compare_latencies(shrunk, parent, path, run.budget)),
    )
    describe(path, shrunk.network, sidecar_figures(deployment), check=file_check)
    return deployment


def _tightened(budget: Budget, missed: list[Verdict]) -> Budget:
    """`budget` with the bound of each missed limit divided by its ratio, and reduced by a further 3 %."""
    factor = {(verdict.limit.quantity, verdict.limit.target): 0.97 / verdict.ratio for verdict in missed}
    return Budget(
        tuple(
            replace(limit, bound=limit.bound * factor.get((limit.quantity, limit.target), 1.0))
            for limit in budget.limits
        )
    )


def sidecar_figures(deployment: Deployment) -> Figures:
    """The figures for the sidecar."""
    figures: dict[str, float | int | str | bool] = {
        "test_accuracy": deployment.artefact.accuracy.top1,
        "test_accuracy_low": deployment.artefact.accuracy.low,
        "test_accuracy_high": deployment.artefact.accuracy.high,
        "test_images": deployment.artefact.accuracy.images,
        "agreement_with_pytorch": deployment.parity.agreement,
        "agreement_with_float": deployment.parity.float_agreement,
        "worst_logit_error": deployment.parity.worst_error,
    }
    for latency in deployment.latencies:
        if latency.artefact == DEPLOYED:
            figures[f"latency_seconds@{latency.target}"] = latency.median
    return figures
