"""The charts of the report, from the records of a result."""

from collections.abc import Sequence

from pocketcnn.records.result import Candidate, StageRecord
from pocketcnn.report import numbers
from pocketcnn.report.plot import Line, Mark, Plot, axis, beside_each_other, share_scale, with_labels, x_scale
from pocketcnn.report.successive_halving import outcome_of


def accuracy_by_size(stages: Sequence[StageRecord]) -> Plot | None:
    """Test accuracy with its interval against weight bytes, one numbered mark for each stage. None for fewer than two stages."""
    if len(stages) < 2:
        return None
    x = x_scale([stage.weight_bytes for stage in stages], log=True)
    y = share_scale([share for stage in stages for share in (stage.test.low, stage.test.high)])
    places = beside_each_other([x(stage.weight_bytes) for stage in stages])
    marks = [
        Mark(
            place,
            y(stage.test.top1),
            kind="stage",
            tooltip=f"{number}. {stage.name}: {numbers.accuracy(stage.test.top1)} "
            f"({numbers.interval(stage.test.low, stage.test.high)}), {numbers.size(stage.weight_bytes)}",
            low=y(stage.test.low),
            high=y(stage.test.high),
            text=str(number),
        )
        for number, (stage, place) in enumerate(zip(stages, places, strict=True), 1)
    ]
    path = Line(tuple((mark.x, mark.y) for mark in marks), "path", "from stage to stage")
    return Plot(
        summary="Test accuracy against bytes of weights after each stage. The figures are in the table of stages.",
        x=axis("weights", x, numbers.size),
        y=axis("test accuracy, with 95 % interval", y, numbers.percent),
        lines=(path,),
        marks=with_labels(marks, [path]),
    )


def learning_by_round(candidates: Sequence[Candidate]) -> Plot | None:
    """Validation accuracy against epochs, one line for each candidate. None for fewer than two trained candidates."""
    trained = _trained(candidates)
    if len(trained) < 2:
        return None
    x = x_scale([0, *(epochs for candidate in trained for epochs, _ in candidate.rounds)])
    y = share_scale([top1 for candidate in trained for _, top1 in candidate.rounds])
    lines: list[Line] = []
    marks: list[Mark] = []
    for candidate in trained:
        points = tuple((x(epochs), y(top1)) for epochs, top1 in candidate.rounds)
        kind = outcome_of(candidate, candidates).value
        lines.append(Line(points, kind, _tooltip(candidate)))
        marks.append(Mark(*points[-1], kind, _tooltip(candidate), text=candidate.name if candidate.chosen else ""))
    return Plot(
        summary="Validation accuracy against epochs of training; candidates drop out after each round. "
        "The figures are in the table of candidates.",
        x=axis("epochs of training", x, lambda epochs: f"{epochs:g}"),
        y=axis("validation accuracy", y, numbers.percent),
        lines=tuple(lines),
        marks=with_labels(marks, lines),
    )


def accuracy_by_madds(candidates: Sequence[Candidate]) -> Plot | None:
    """Validation accuracy after the last round against MAdds, one mark for each candidate. None for fewer than two."""
    trained = _trained(candidates)
    if len(trained) < 2:
        return None
    x = x_scale([candidate.madds for candidate in trained], log=True)
    y = share_scale([candidate.rounds[-1][1] for candidate in trained])
    marks = [
        Mark(
            x(candidate.madds),
            y(candidate.rounds[-1][1]),
            outcome_of(candidate, candidates).value,
            _tooltip(candidate),
            text=candidate.name if candidate.chosen else "",
        )
        for candidate in trained
    ]
    return Plot(
        summary="Validation accuracy of each candidate after its last round against its multiply-adds. "
        "The figures are in the table of candidates.",
        x=axis("multiply-adds for one image", x, numbers.amount),
        y=axis("validation accuracy after the last round", y, numbers.percent),
        lines=(),
        marks=with_labels(marks),
    )


def _trained(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The trained candidates, with the chosen one last, so that it is drawn on top."""
    return sorted((candidate for candidate in candidates if candidate.rounds), key=lambda candidate: candidate.chosen)


def _tooltip(candidate: Candidate) -> str:
    epochs, top1 = candidate.rounds[-1]
    return f"{candidate.name}: {numbers.accuracy(top1)} after {epochs} epochs, {numbers.amount(candidate.madds)} MAdds"
