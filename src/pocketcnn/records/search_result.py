"""The record of one search: what `search.json` holds, and all that its page is drawn from."""

from typing import Literal

from pydantic import Field

from pocketcnn.records.result import Record


class TrialRecord(Record):
    """One evaluated point, or one that failed: then `note` says why.

    `use` is the largest share of any limit of the budget, `training` the share of the full proxy training.
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
    """The trials of one strategy, in the order in which they ended, and what its front is worth.

    `hypervolume` is the area that the front dominates within the budget, from 0 to 1.
    """

    strategy: str
    trials: tuple[TrialRecord, ...]
    hypervolume: float


class FoundRecord(Record):
    """The network that was chosen: by which strategy and in which trial it was found, and what it is."""

    strategy: str
    trial: int
    point: dict[str, str | int | float | bool]
    blocks: tuple[str, ...]
    text: str
    """The point as a file that can be written by hand."""
    transferred: str = ""
    """To which larger network its cells were transferred."""


class SearchResult(Record):
    """Everything that a search found out. Where it is unfinished, `found` is what would be chosen now."""

    version: str
    command: str
    data: str
    space: str
    strategy: str
    budget: str
    reward: str
    width: float | None
    evaluations: int
    """Whole proxy trainings that strategy and control may each spend."""
    epochs: int
    """Of a whole proxy training."""
    workers: int
    seed: int
    searched: RunRecord
    control: RunRecord | None = None
    """Random search with as many evaluations; None where it was not wanted."""
    found: FoundRecord | None = None
    state: Literal["running", "done"] = "running"
    seconds: float = 0.0
    test_accuracy: float | None = None
    """Of the file to deploy."""
    notes: tuple[str, ...] = ()
