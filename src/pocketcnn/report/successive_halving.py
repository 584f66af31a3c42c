"""Outcomes of successive halving for the report: chosen, in the last round, or dropped."""

from collections.abc import Sequence
from enum import StrEnum

from pocketcnn.records.result import Candidate


class HalvingOutcome(StrEnum):
    """The outcome of a candidate."""

    CHOSEN = "chosen"
    FINALIST = "finalist"
    DROPPED = "dropped"
    UNTRAINED = "untrained"


def last_round(candidates: Sequence[Candidate]) -> int:
    """The number of rounds."""
    return max((len(candidate.rounds) for candidate in candidates), default=0)


def outcome_of(candidate: Candidate, candidates: Sequence[Candidate]) -> HalvingOutcome:
    """The outcome of `candidate` among `candidates`."""
    if candidate.chosen:
        return HalvingOutcome.CHOSEN
    if not candidate.rounds:
        return HalvingOutcome.UNTRAINED
    return HalvingOutcome.FINALIST if len(candidate.rounds) == last_round(candidates) else HalvingOutcome.DROPPED


def outcome_text(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
    """The outcome in words, such as ``dropped after round 1``."""
    words = {
        HalvingOutcome.CHOSEN: "chosen",
        HalvingOutcome.FINALIST: "in the last round",
        HalvingOutcome.DROPPED: f"dropped after round {len(candidate.rounds)}",
        HalvingOutcome.UNTRAINED: "not trained",
    }
    return words[outcome_of(candidate, candidates)]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates sorted: the chosen one first, then by the number of rounds, then by the accuracy after the last round."""

    def sort_key(candidate: Candidate) -> tuple[bool, int, float]:
        return candidate.chosen, len(candidate.rounds), candidate.rounds[-1][1] if candidate.rounds else 0.0

    return sorted(candidates, key=sort_key, reverse=True)
