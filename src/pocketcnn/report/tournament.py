"""Successive halving as a reader sees it: who was chosen, who came to the last round, who was dropped when."""

from collections.abc import Sequence
from enum import StrEnum

from pocketcnn.report.result import Candidate


class Fate(StrEnum):
    """What became of a candidate."""

    CHOSEN = "chosen"
    FINALIST = "finalist"
    DROPPED = "dropped"
    UNTRAINED = "untrained"


def last_round(candidates: Sequence[Candidate]) -> int:
    """How many rounds there were."""
    return max((len(candidate.rounds) for candidate in candidates), default=0)


def fate(candidate: Candidate, candidates: Sequence[Candidate]) -> Fate:
    """What became of `candidate` among `candidates`."""
    if candidate.chosen:
        return Fate.CHOSEN
    if not candidate.rounds:
        return Fate.UNTRAINED
    return Fate.FINALIST if len(candidate.rounds) == last_round(candidates) else Fate.DROPPED


def outcome(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
    """The same in words: ``dropped after round 1``."""
    words = {
        Fate.CHOSEN: "chosen",
        Fate.FINALIST: "in the last round",
        Fate.DROPPED: f"dropped after round {len(candidate.rounds)}",
        Fate.UNTRAINED: "not trained",
    }
    return words[fate(candidate, candidates)]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The chosen one, then by rounds survived, then by the accuracy after the last of them."""

    def merit(candidate: Candidate) -> tuple[bool, int, float]:
        return candidate.chosen, len(candidate.rounds), candidate.rounds[-1][1] if candidate.rounds else 0.0

    return sorted(candidates, key=merit, reverse=True)
