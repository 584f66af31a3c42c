"""The record of one `fit`: what `result.json` holds, and all that the HTML report is drawn from."""

from pydantic import BaseModel, ConfigDict, Field

from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.info import Stage


class Record(BaseModel):
    """A piece of a result: plain data, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Accuracy(Record):
    """Top-1 accuracy as shares from 0 to 1, with its 95 % Wilson interval and the number of images."""

    top1: float
    low: float
    high: float
    images: int


class LimitRecord(Record):
    """One limit of the budget and the figure that was measured against it.

    `bound`, `value`, `low` and `high` are in base units: bytes, seconds, multiply-adds, parameters. `low` and `high` are the
    spread: the 10th and 90th percentile of a latency, the value itself where nothing varies. A latency that is `estimated`
    was not measured: its target is not here.
    """

    limit: str
    quantity: str
    bound: float
    target: str | None = None
    value: float
    low: float
    high: float
    kept: bool
    how: str
    estimated: bool = False


DEPLOYED = "deployed"


class LatencyRecord(Record):
    """Seconds for one image: median, 10th and 90th percentile, and how it was measured.

    `artefact` is `DEPLOYED` for the file to deploy; any other name says what the file is compared with.
    """

    artefact: str
    target: str
    threads: int
    median: float
    p10: float
    p90: float
    repeats: int
    converged: bool


class Candidate(Record):
    """A network that was considered: its cost, and its validation accuracy after each round of training it survived."""

    name: str
    network: str
    width: float
    input_size: tuple[int, int]
    total_stride: int
    params: int
    madds: int
    rounds: tuple[tuple[int, float], ...] = ()
    """(epochs trained in all, validation top-1), one entry a round."""
    chosen: bool = False


class StageRecord(Record):
    """The network after one stage: accuracy on val (choices are made on it) and test (the figure to quote), and its cost."""

    name: str
    validation: Accuracy
    test: Accuracy
    params: int
    madds: int
    weight_bytes: int
    peak_activation_bytes: int
    seconds: float
    note: str = ""


class ParityRecord(Record):
    """The artefact beside the network in PyTorch on the same images.

    `agreement` is the share of images with the same top-1 class; `float_agreement` the same between the artefact and the float
    network before quantization. Errors are of the logits. `first_difference` names the first layer whose values differ
    by more than one quantization step (or 1e-3 of the layer's range, in float), if any.
    """

    images: int
    agreement: float
    float_agreement: float
    worst_error: float
    mean_error: float
    first_difference: str | None


class DataRecord(Record):
    """The images: how many a split, what was converted or skipped, and a fingerprint of their contents."""

    name: str
    classes: tuple[str, ...]
    train: int
    val: int
    test: int
    fingerprint: str
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class ArtefactRecord(Record):
    """The file to deploy."""

    file: str
    bytes: int
    numerics: str
    """``float32`` or ``int8``."""
    sha256: str
    accuracy: Accuracy
    """Of the file itself, run on the test images."""
    validation: Accuracy
    confusion: tuple[tuple[int, ...], ...]
    """confusion[true][predicted], on the test images."""


class ModelFileRecord(Record):
    """The file that the library itself reads: `bytes` as it is, `plain_bytes` without coding, if `coding` names one."""

    file: str
    bytes: int
    coding: str | None
    plain_bytes: int


class FitResult(Record):
    """Everything that a `fit` found out."""

    version: str
    command: str
    budget: str
    met: bool
    closest_miss: str = ""
    """Empty if the budget is met, otherwise one sentence with the limit that was missed by least."""
    limits: tuple[LimitRecord, ...]
    artefact: ArtefactRecord
    stored: ModelFileRecord | None = None
    """None in the results of earlier versions."""
    parity: ParityRecord
    latencies: tuple[LatencyRecord, ...]
    stages: tuple[StageRecord, ...]
    candidates: tuple[Candidate, ...]
    input: InputContract
    data: DataRecord
    lineage: tuple[Stage, ...]
    machine: dict[str, str | int | bool | list[str]]
    seed: int
    seconds: float
    notes: tuple[str, ...] = Field(default=())
    """What a reader should know: the form for small images, an int8 file slower than float, a step that won no time."""
    warnings: tuple[str, ...] = Field(default=())
    """What must not be overlooked: accuracy that a step cost, or a file that does little better than chance."""
