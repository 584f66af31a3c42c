"""Successive halving as a reader sees it: who was chosen, who came to the last round, who was dropped when."""

from collections.abc import Sequence
from enum import StrEnum

from pocketcnn.records.result import Candidate


class HalvingOutcome(StrEnum):
    """What became of a candidate."""

    CHOSEN = "chosen"
    FINALIST = "finalist"
    DROPPED = "dropped"
    UNTRAINED = "untrained"


def last_round(candidates: Sequence[Candidate]) -> int:
    """How many rounds there were."""
    return max((len(candidate.rounds) for candidate in candidates), default=0)


def fate(candidate: Candidate, candidates: Sequence[Candidate]) -> HalvingOutcome:
    """What became of `candidate` among `candidates`."""
    if candidate.chosen:
        return HalvingOutcome.CHOSEN
    if not candidate.rounds:
        return HalvingOutcome.UNTRAINED
    return HalvingOutcome.FINALIST if len(candidate.rounds) == last_round(candidates) else HalvingOutcome.DROPPED


def outcome(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
    """The same in words: ``dropped after round 1``."""
    words = {
        HalvingOutcome.CHOSEN: "chosen",
        HalvingOutcome.FINALIST: "in the last round",
        HalvingOutcome.DROPPED: f"dropped after round {len(candidate.rounds)}",
        HalvingOutcome.UNTRAINED: "not trained",
    }
    return words[fate(candidate, candidates)]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The chosen one, then by rounds survived, then by the accuracy after the last of them."""

    def merit(candidate: Candidate) -> tuple[bool, int, float]:
        return candidate.chosen, len(candidate.rounds), candidate.rounds[-1][1] if candidate.rounds else 0.0

    return sorted(candidates, key=merit, reverse=True)
