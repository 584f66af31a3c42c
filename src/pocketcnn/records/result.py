"""The record of one `fit` or `compress`: the contents of `result.json`, and the source of the HTML report."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.info import Stage
from pocketcnn.records.baselines import Baselines
from pocketcnn.records.file_check import FileCheckRecord
from pocketcnn.records.verdict import Verdict, verdict_of


class Record(BaseModel):
    """Base of all records: immutable plain data; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Accuracy(Record):
    """Top-1 accuracy from 0 to 1, with its 95 % Wilson interval (`low`, `high`) and the number of images."""

    top1: float
    low: float
    high: float
    images: int


class LimitRecord(Record):
    """One limit of the budget with the measured figure.

    `bound`, `value`, `low` and `high` are in base units: bytes, seconds, multiply-adds, parameters. For a latency, `low` and
    `high` are the 10th and 90th percentile; for other quantities they equal `value`. An `estimated` latency was not measured,
    because its target has no runtime on this machine. `how` describes the measurement.
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
    """Latency for one image in seconds (median, 10th and 90th percentile), with the conditions of the measurement.

    `artefact` is `DEPLOYED` for the deployed file, or the name of a network that it is compared with.
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
    """A considered network: its cost, and its validation accuracy after each round of training."""

    name: str
    network: str
    width: float
    input_size: tuple[int, int]
    total_stride: int
    params: int
    madds: int
    rounds: tuple[tuple[int, float], ...] = ()
    """(total epochs, validation top-1 from 0 to 1), one entry for each round."""
    chosen: bool = False


class StageRecord(Record):
    """The network after one stage: accuracy on val (for choices) and test (to report), cost, and duration in seconds."""

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
    """The artefact compared with the network in PyTorch on the same images.

    `agreement` is the share of images with the same top-1 class. `float_agreement` is that of the artefact and the float
    network before quantization. Errors are absolute differences of logits. `first_difference` is the first layer whose values
    differ by more than one quantization step (in float: 1e-3 of the layer's range), or None.
    """

    images: int
    agreement: float
    float_agreement: float
    worst_error: float
    mean_error: float
    first_difference: str | None


class DataRecord(Record):
    """The images: their number in each split, notes, problems, and a fingerprint of their contents."""

    name: str
    classes: tuple[str, ...]
    train: int
    val: int
    test: int
    fingerprint: str
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class ArtefactRecord(Record):
    """The deployable file."""

    file: str
    bytes: int
    numerics: str
    """``float32`` or ``int8``."""
    sha256: str
    accuracy: Accuracy
    """Accuracy of the file on the test images."""
    validation: Accuracy
    """Accuracy of the file on the validation images."""
    confusion: tuple[tuple[int, ...], ...]
    """confusion[true][predicted], on the test images."""
    baselines: Baselines | None = None
    """What the accuracy is compared with; None in the results of earlier versions."""


class ModelFileRecord(Record):
    """The model file: its size in bytes, and the size without entropy coding (`plain_bytes`). `coding` is None if not coded."""

    file: str
    bytes: int
    coding: str | None
    plain_bytes: int


class NextChoice(Record):
    """A choice that may be better than the result, as a sentence.

    `bytes` of its weights with its accuracies, if they were measured in this run; otherwise None and `measured` is False.
    """

    text: str
    measured: bool = False
    bytes: int | None = None
    validation: Accuracy | None = None
    test: Accuracy | None = None


class FitResult(Record):
    """The result of a `fit` or `compress`."""

    version: str
    command: str
    budget: str
    met: bool
    closest_miss: str = ""
    """The missed limits with their figures; empty if the budget is met."""
    limits: tuple[LimitRecord, ...]
    artefact: ArtefactRecord
    stored: ModelFileRecord | None = None
    """The model file; None in the results of earlier versions."""
    parity: ParityRecord
    check: FileCheckRecord | None = None
    """The check of the deployed file; None in the results of earlier versions."""
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
    """Notes: the variant for small images, entropy coding, compressed networks that are not faster."""
    warnings: tuple[str, ...] = Field(default=())
    """Warnings: accuracy lost in a step, or accuracy near chance."""
    next_choices: tuple[NextChoice, ...] = Field(default=())
    """What more bytes or more training would give; empty in the results of earlier versions."""

    @model_validator(mode="before")
    @classmethod
    def _without_derived(cls, data: Any) -> Any:
        """`verdict` is in the file for other programs; it is computed again when the file is read."""
        return {key: data[key] for key in data if key != "verdict"} if isinstance(data, Mapping) else data

    @computed_field  # type: ignore[prop-decorator] # mypy has no decorated properties
    @property
    def verdict(self) -> Verdict:
        """Whether the budget is met, by a file that is worth deploying."""
        return verdict_of(met=self.met, baselines=self.artefact.baselines, warnings=self.warnings)
