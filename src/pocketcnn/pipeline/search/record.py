"""The record of a search, which is written to `search.json` and `search.html` during the search and at its end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from pocketcnn.files import write_text
from pocketcnn.nas.front import best, hypervolume
from pocketcnn.nas.objective import Objective
from pocketcnn.nas.point_file import point_text
from pocketcnn.nas.space import Space
from pocketcnn.nas.trial import Finished, Trial, finished
from pocketcnn.records.search_result import FoundRecord, RunRecord, SearchResult, TrialRecord
from pocketcnn.report.search import front, write_search_page

RECORD, PAGE = "search.json", "search.html"

Runs = Sequence[tuple[str, Sequence[Trial]]]
"""(strategy, trials) of the search first, then of its control."""


@dataclass(frozen=True)
class SearchConfig:
    """The settings of a search, as its record shows them."""

    command: str
    data: str
    strategy: str
    budget: str
    reward: str
    width: float | None
    evaluations: int
    epochs: int
    workers: int
    seed: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A trial that may be chosen, and the strategy that found it."""

    strategy: str
    trial: Finished


def reward_in_words(objective: Objective) -> str:
    """The formula of the reward."""
    target = "" if objective.target == 1 else f" / {objective.target:g}"
    share = f"(share of the budget{target})"
    if objective.alpha == objective.beta == 0:
        return "accuracy"
    if objective.alpha == objective.beta:
        return f"accuracy · {share}^{objective.alpha:g}"
    over = f"accuracy · {share}^{objective.beta:g}"
    within = "accuracy" if objective.alpha == 0 else f"accuracy · {share}^{objective.alpha:g}"
    return f"{within} where the budget is kept, else {over}"


def run_record(strategy: str, trials: Sequence[Trial]) -> RunRecord:
    """The record of the trials that have ended."""
    ended = [trial for trial in trials if trial.state != "running"]
    whole = [trial for trial in finished(ended) if trial.proposal.training >= 1]
    area = hypervolume((trial.evaluation.accuracy, trial.evaluation.use) for trial in whole)
    return RunRecord(strategy=strategy, trials=tuple(map(_trial_record, ended)), hypervolume=area)


def _trial_record(trial: Trial) -> TrialRecord:
    plain = TrialRecord(number=trial.number, point=dict(trial.point), training=trial.proposal.training, note=trial.note)
    found = trial.evaluation
    if found is None:
        return plain
    return plain.model_copy(
        update={
            "accuracy": found.accuracy,
            "use": found.use,
            "reward": trial.reward,
            "figures": dict(found.figures),
            "seconds": found.seconds,
        }
    )


def chosen(runs: Runs, max_share: float) -> Candidate | None:
    """The most accurate trial of all runs within `max_share` of the budget (the first of equals); else the cheapest one."""
    candidates = [
        Candidate(name, trial) for name, trials in runs if (trial := best(finished(trials), max_share)) is not None
    ]
    if not candidates:
        return None
    fitting = [candidate for candidate in candidates if candidate.trial.evaluation.use <= max_share]
    if not fitting:
        return min(candidates, key=lambda candidate: candidate.trial.evaluation.use)
    return max(fitting, key=lambda candidate: candidate.trial.evaluation.accuracy)


def found_record(candidate: Candidate, space: Space, transferred: str = "") -> FoundRecord:
    """A candidate as a record; `space` is the search space of its network."""
    point = candidate.trial.point
    return FoundRecord(
        strategy=candidate.strategy,
        trial=candidate.trial.number,
        point=dict(point),
        blocks=tuple(space.describe(point)),
        text=point_text(space, point),
        transferred=transferred,
    )


def search_result(
    config: SearchConfig,
    space: Space,
    runs: Runs,
    found: FoundRecord | None,
    seconds: float,
) -> SearchResult:
    """The record of a running search. The first of `runs` is that of the strategy, the second that of its control."""
    records = [run_record(name, trials) for name, trials in runs]
    return SearchResult(
        version=version("pocketcnn"),
        command=config.command,
        data=config.data,
        space=space.name,
        strategy=config.strategy,
        budget=config.budget,
        reward=config.reward,
        width=config.width,
        evaluations=config.evaluations,
        epochs=config.epochs,
        workers=config.workers,
        seed=config.seed,
        searched=records[0],
        control=records[1] if len(records) > 1 else None,
        found=found,
        seconds=seconds,
        notes=config.notes,
    )


def write_record(result: SearchResult, out: Path) -> None:
    """Write `search.json` and `search.html` to `out`."""
    write_text(out / RECORD, result.model_dump_json(indent=1) + "\n")
    write_search_page(result, out / PAGE)


def front_in_words(run: RunRecord) -> str:
    """``91.2 % at 40 % of the budget; 93.0 % at 88 %``."""
    parts = [f"{trial.accuracy:.1%} at {trial.use:.0%}" for trial in front(run)]
    return "; ".join(parts).replace("%", " %")


def with_notes(config: SearchConfig, *notes: str) -> SearchConfig:
    """The same settings with further notes."""
    return replace(config, notes=(*config.notes, *notes))


def trial_in_words(name: str, trial: Trial, history: Sequence[Trial], total: int) -> str:
    """A line of text for a trial that ended; `total` is the number of trials of its run."""
    ended = sum(each.state != "running" for each in history)
    head = f"{name} {ended} of {total}, trial {trial.number}:"
    found = trial.evaluation
    if found is None:
        return f"{head} failed, {trial.note}"
    part = "" if trial.proposal.training >= 1 else f" after {trial.proposal.training:.0%} of the training"
    best = max(each.reward for each in history if each.reward is not None)
    text = f"{found.accuracy:.1%}{part}, {found.use:.0%} of the budget".replace("%", " %")
    return f"{head} {text}, reward {trial.reward:.4f} (best {best:.4f})"
