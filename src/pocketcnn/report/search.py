"""The page of a search: its Pareto front beside that of random search, and the progress of both."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from pocketcnn.files import write_text
from pocketcnn.nas.front import best_so_far, pareto_front
from pocketcnn.records.search_result import RunRecord, SearchResult, TrialRecord
from pocketcnn.report import numbers
from pocketcnn.report.html import environment
from pocketcnn.report.plot import Line, Mark, Plot, axis, share_scale, with_labels, x_scale

SEARCHED, CONTROL = "searched", "control"
"""Kinds of lines and marks, which are classes of the style sheet."""

MAX_SHARE_SHOWN = 3.0
"""Trials that use a larger share of the budget are left out of the chart, so that the others are readable."""


def write_search_page(result: SearchResult, path: Path) -> None:
    """Write the page to `path`.

    Raises:
        PocketcnnError: the file cannot be written.
    """
    write_text(path, render_search_page(result))


def render_search_page(result: SearchResult) -> str:
    """The page as HTML text."""
    runs = _runs(result)
    return (
        environment()
        .get_template("search.html")
        .render(
            result=result,
            front_chart=front_chart(result),
            progress_chart=progress_chart(result),
            fronts=[(kind, run, front(run)) for kind, run in runs],
            tables=[(run, sorted(run.trials, key=_rank)) for _, run in runs],
            failed=sum(trial.accuracy is None for _, run in runs for trial in run.trials),
        )
    )


def front(run: RunRecord) -> list[TrialRecord]:
    """The Pareto front of accuracy and budget use among trials with complete proxy training, the cheapest first."""
    whole = [trial for trial in run.trials if trial.accuracy is not None and trial.training >= 1]
    return [whole[place] for place in pareto_front([(trial.accuracy or 0.0, trial.use or 0.0) for trial in whole])]


def front_chart(result: SearchResult) -> Plot | None:
    """Validation accuracy against the share of the budget, one mark for each trial, fronts as lines. None without trials."""
    shown = [
        (kind, trial)
        for kind, run in _runs(result)
        for trial in run.trials
        if trial.use is not None and trial.use <= MAX_SHARE_SHOWN
    ]
    if not shown:
        return None
    x = x_scale([1.0, *(trial.use or 0.0 for _, trial in shown)])
    y = share_scale([trial.accuracy or 0.0 for _, trial in shown])
    chosen = (result.found.strategy, result.found.trial) if result.found else None
    names = {kind: run.strategy for kind, run in _runs(result)}
    marks = []
    for kind, trial in shown:
        is_chosen = (names[kind], trial.number) == chosen and trial.training >= 1
        tip = f"{names[kind]}, trial {trial.number}: {numbers.accuracy(trial.accuracy or 0)}, "
        tip += f"{numbers.percent(trial.use or 0)} of the budget"
        mark_kind = "chosen" if is_chosen else kind if trial.training >= 1 else "dropped"
        marks.append(
            Mark(x(trial.use or 0), y(trial.accuracy or 0), mark_kind, tip, text="chosen" if is_chosen else "")
        )
    marks.sort(key=lambda mark: (mark.kind == "chosen", mark.kind == SEARCHED))
    lines = [
        Line(
            tuple((x(t.use or 0), y(t.accuracy or 0)) for t in front(run) if (t.use or 0) <= MAX_SHARE_SHOWN),
            kind,
            run.strategy,
        )
        for kind, run in _runs(result)
    ]
    bound = x(1.0)
    lines.append(Line(((bound, 30), (bound, 238)), "bound", "the budget"))
    return Plot(
        summary="Validation accuracy of each evaluated network against the largest share of any limit that it uses.",
        x=axis("share of the budget", x, numbers.percent),
        y=axis("validation accuracy after the proxy training", y, numbers.percent),
        lines=tuple(lines),
        marks=with_labels(marks, lines),
    )


def progress_chart(result: SearchResult) -> Plot | None:
    """The best reward so far against the number of proxy trainings. None without a complete proxy training."""
    curves = {kind: progress(run.trials) for kind, run in _runs(result)}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return None
    x = x_scale([0.0, *(spent for spent, _ in points)])
    y = share_scale([min(1.0, reward) for _, reward in points])
    names = {kind: run.strategy for kind, run in _runs(result)}
    lines = tuple(
        Line(tuple((x(spent), y(min(1.0, reward))) for spent, reward in _steps(curve)), kind, names[kind])
        for kind, curve in curves.items()
        if curve
    )
    ends = [
        Mark(*line.points[-1], line.kind, f"{line.tooltip}: {curves[line.kind][-1][1]:.4f}", text=line.tooltip)
        for line in lines
    ]
    return Plot(
        summary="The best reward so far of the search and of random search against the number of evaluations.",
        x=axis("evaluations", x, lambda count: f"{count:g}"),
        y=axis("best reward so far", y, lambda reward: f"{reward:.2f}"),
        lines=lines,
        marks=with_labels(ends, lines),
    )


def progress(trials: Sequence[TrialRecord]) -> list[tuple[float, float]]:
    """(number of proxy trainings so far, best reward so far) after each trial with complete proxy training."""
    spent = list(accumulate(trial.training for trial in trials))
    whole = [(cost, trial.reward) for cost, trial in zip(spent, trials, strict=True) if trial.training >= 1]
    known = [(cost, reward) for cost, reward in whole if reward is not None]
    return list(zip([cost for cost, _ in known], best_so_far(reward for _, reward in known), strict=True))


def _steps(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The curve as a step function."""
    found: list[tuple[float, float]] = []
    for spent, reward in curve:
        if found and found[-1][1] != reward:
            found.append((spent, found[-1][1]))
        found.append((spent, reward))
    return found


def _runs(result: SearchResult) -> list[tuple[str, RunRecord]]:
    return [(SEARCHED, result.searched), *([(CONTROL, result.control)] if result.control else [])]


def _rank(trial: TrialRecord) -> tuple[bool, float, int]:
    """Sort key: the best trial first, failed ones last."""
    return (trial.reward is None, -(trial.reward or 0.0), trial.number)
