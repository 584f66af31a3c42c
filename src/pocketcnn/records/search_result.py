"""The record of one search: the contents of `search.json`, and the source of `search.html`."""

from typing import Literal

from pydantic import Field

from pocketcnn.records.result import Record
from pocketcnn.records.verdict import Verdict


class TrialRecord(Record):
    """One evaluated point, or a failed one with the reason in `note`.

    `use` is the largest share of any limit of the budget, `training` the share of the complete proxy training.
    """

    number: int
    point: dict[str, str | int | float | bool]
    training: float
    accuracy: float | None = None
    use: float | None = None
    reward: float | None = None
    figures: dict[str, float] = Field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""


class RunRecord(Record):
    """The trials of one strategy in the order in which they ended, and the quality of its Pareto front.

    `hypervolume` is the share of the area within the budget that the front dominates, from 0 to 1.
    """

    strategy: str
    trials: tuple[TrialRecord, ...]
    hypervolume: float


class FoundRecord(Record):
    """The chosen network, with the strategy and the trial that found it."""

    strategy: str
    trial: int
    point: dict[str, str | int | float | bool]
    blocks: tuple[str, ...]
    text: str
    """The point as the text of an architecture file."""
    transferred: str = ""
    """The larger network that uses its cells; empty if there is none."""


class SearchResult(Record):
    """The result of a search. While it is running, `found` is the best network so far."""

    version: str
    command: str
    data: str
    space: str
    strategy: str
    budget: str
    reward: str
    width: float | None
    evaluations: int
    """Complete proxy trainings for each of strategy and control."""
    epochs: int
    """Epochs of a complete proxy training."""
    workers: int
    seed: int
    searched: RunRecord
    control: RunRecord | None = None
    """Random search with the same number of evaluations; None if it was not requested."""
    found: FoundRecord | None = None
    state: Literal["running", "done"] = "running"
    seconds: float = 0.0
    test_accuracy: float | None = None
    """Accuracy of the deployed file, from 0 to 1."""
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    """On the deployed file; None while the search is running, and in the results of earlier versions."""
    warnings: tuple[str, ...] = ()
    """Of the deployed file."""
