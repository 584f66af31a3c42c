"""The last mile of a `fit`: write the artefact, run it beside PyTorch, measure it, judge it by the budget."""

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
from pocketcnn.pipeline.deploy.export import describe, export, numerics_name
from pocketcnn.pipeline.sidecar import Figures
from pocketcnn.pipeline.workspace import fingerprint_of
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
"""How often a budget that is missed by the measured file is tightened and the network shrunk again."""


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W) and their labels (N,)."""

    images: Tensor
    labels: Tensor


def predictions(artefact: Path, images: Tensor) -> tuple[IntArray, FloatArray]:
    """What the file says on ONNX Runtime of images (N, C, H, W): the class (N,), and its probability (N,)."""
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


def write_artefact(network: GraphNetwork, path: Path, val: LabelledImages, test: LabelledImages) -> ArtefactRecord:
    """Export `network` to `path` and evaluate the file."""
    export(network, "onnx", path)
    classes = network.graph.output_shape[0]
    validation, _ = artefact_accuracy(path, val, classes)
    accuracy, confusion = artefact_accuracy(path, test, classes)
    return ArtefactRecord(
        file=path.name,
        bytes=path.stat().st_size,
        numerics=numerics_name(network),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        accuracy=accuracy,
        validation=validation,
        confusion=confusion,
    )


def write_model_file(network: GraphNetwork, path: Path, *, is_coded: bool) -> ModelFileRecord:
    """Save `network`, coded or not, and note how large its file is in both ways."""
    coding = smallest_coding() if is_coded else None
    save(path, network, coding=coding)
    size = path.stat().st_size
    plain = len(file_bytes(network.graph.rebuilt(), network.info)) if is_coded else size
    return ModelFileRecord(file=path.name, bytes=size, coding=coding, plain_bytes=plain)


def is_coded(run: CompressionRun) -> bool:
    """Whether the model file is to be coded: it was asked for, or the budget limits its bytes."""
    return run.method.entropy_code or bool(run.budget.limits_on(Quantity.CODED))


def check_parity(network: GraphNetwork, float_network: GraphNetwork, path: Path, images: Tensor) -> ParityRecord:
    """The artefact beside the network in PyTorch, and beside the float network that it stands for."""
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
    network: GraphNetwork, path: Path, budget: Budget, stored: int
) -> tuple[tuple[Verdict, ...], tuple[LimitRecord, ...]]:
    """Every limit of an absolute budget against the figures of the file as it lies there.

    `stored` is the bytes of the model file beside it.
    """
    verdicts = budget.check(figures(Written(network.graph, path.read_bytes(), stored), budget, DEFAULT_RULE))
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
    """The file that is deployed beside what it was made from, in turns on each target, so that noise hits all alike.

    Targets that are not here are left out, and the default one is taken where there is no other.
    """
    precisions = {DEPLOYED: (shrunk.network.graph, path.read_bytes())}
    if shrunk.network.numerics:
        precisions["the same in float32"] = _in_float(shrunk.float_network)
    if parent is not shrunk.float_network:
        precisions["unpruned parent, float32"] = _in_float(parent)
    records = []
    present = [name for name in budget.targets if load_target(name).runtime is not None]
    for name in present or (DEFAULT_TARGET,):
        target = load_target(name)
        with ExitStack() as stack:
            sessions = [stack.enter_context(opened(graph, data, target)) for graph, data in precisions.values()]
            found = compare(sessions, [example_batch(session) for session in sessions])
        records += [
            _latency_record(artefact, name, target.thread_count, latency)
            for artefact, latency in zip(precisions, found.latencies, strict=True)
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
    """What lies in the output folder, and everything that was measured about it."""

    network: GraphNetwork
    float_network: GraphNetwork
    contract: InputContract
    test: LabelledImages
    artefact: ArtefactRecord
    stored: ModelFileRecord
    limits: tuple[LimitRecord, ...]
    closest_miss: str
    parity: ParityRecord
    latencies: tuple[LatencyRecord, ...]


def deploy(parent: GraphNetwork, run: CompressionRun, out: Path, compressor: Compressor) -> Deployment:
    """Shrink `parent` to the budget and write `model.safetensors`, `model.onnx` and `model.json` to `out`.

    The budget is judged by the written file. Where it is missed by a figure that varies (a latency measured once more),
    the budget is tightened by that miss and the network shrunk again, a few times.
    """
    val, test = LabelledImages(*run.sets.val.as_tensors()), LabelledImages(*run.sets.test.as_tensors())
    path = out / "model.onnx"
    target = run.budget
    first_stages = tuple(run.stages)
    for attempt in range(TIGHTEN + 1):
        run.stages[:] = first_stages
        shrunk = compressor(parent, run.with_budget(target, attempt))
        artefact = write_artefact(shrunk.network, path, val, test)
        stored = write_model_file(shrunk.network, out / MODEL_FILE, is_coded=is_coded(run))
        verdicts, limits = judge(shrunk.network, path, run.budget, stored.bytes)
        missed = [verdict for verdict in verdicts if not verdict.kept]
        if not missed or not shrunk.within_reach or attempt == TIGHTEN:
            break
        run.say(f"The file misses the budget ({missed[0]}); shrinking it further")
        question = f"{target} tightened for attempt {attempt + 2} of {fingerprint_of(parent)}"
        target = run.workspace.budget(question, partial(_tightened, target, missed))
    checked = check_parity(shrunk.network, shrunk.float_network, path, val.images)
    delivered = Deployment(
        network=shrunk.network,
        float_network=shrunk.float_network,
        contract=run.sets.val.contract,
        test=test,
        artefact=artefact,
        stored=stored,
        limits=limits,
        closest_miss="; ".join(map(str, missed)),
        parity=checked,
        latencies=tuple(compare_latencies(shrunk, parent, path, run.budget)),
    )
    describe(path, shrunk.network, sidecar_figures(delivered))
    return delivered


def _tightened(budget: Budget, missed: list[Verdict]) -> Budget:
    """`budget` with each missed limit lowered by its miss and 3 % more."""
    factor = {(verdict.limit.quantity, verdict.limit.target): 0.97 / verdict.ratio for verdict in missed}
    return Budget(
        tuple(
            replace(limit, bound=limit.bound * factor.get((limit.quantity, limit.target), 1.0))
            for limit in budget.limits
        )
    )


def sidecar_figures(delivered: Deployment) -> Figures:
    """The figures that travel with the file."""
    figures: dict[str, float | int | str | bool] = {
        "test_accuracy": delivered.artefact.accuracy.top1,
        "test_accuracy_low": delivered.artefact.accuracy.low,
        "test_accuracy_high": delivered.artefact.accuracy.high,
        "test_images": delivered.artefact.accuracy.images,
        "agreement_with_pytorch": delivered.parity.agreement,
        "agreement_with_float": delivered.parity.float_agreement,
        "worst_logit_error": delivered.parity.worst_error,
    }
    for latency in delivered.latencies:
        if latency.artefact == DEPLOYED:
            figures[f"latency_seconds@{latency.target}"] = latency.median
    return figures
