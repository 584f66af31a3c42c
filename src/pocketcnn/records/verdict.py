"""The verdict on a result: whether the budget is met, and whether the file is of use at all."""

from collections.abc import Sequence
from enum import StrEnum

from pocketcnn.records.baselines import Baselines


class Verdict(StrEnum):
    """The verdict on a result, from good to bad."""

    MET = "budget met"
    MET_WITH_WARNINGS = "budget met, with warnings"
    NEAR_CHANCE = "near chance"
    """The budget is met, by a file that is not clearly better than always answering the most frequent class."""
    NOT_MET = "budget not met"

    @property
    def mark(self) -> str:
        """One character for headings. Only a result without any warning has the tick."""
        return {Verdict.MET: "✓", Verdict.MET_WITH_WARNINGS: "⚠"}.get(self, "✗")


def verdict_of(*, met: bool, baselines: Baselines | None, warnings: Sequence[str]) -> Verdict:
    """The verdict on a result; results of earlier versions have no `baselines`."""
    if not met:
        return Verdict.NOT_MET
    if baselines is not None and not baselines.better:
        return Verdict.NEAR_CHANCE
    return Verdict.MET_WITH_WARNINGS if warnings else Verdict.MET
