"""Analysis of a confusion matrix: the most confused pairs, the hardest classes, and a heat map."""

from collections.abc import Sequence
from dataclasses import dataclass

SOLID_FROM = 0.85  # from this strength on, text is in the background colour

Matrix = Sequence[Sequence[int]]
"""matrix[true][predicted]: number of images."""


@dataclass(frozen=True)
class Pair:
    """`count` images of class `true`, a `share` of the class, were classified as `predicted`."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassFigures:
    """Recall and precision of a class, from 0 to 1. `precision` is None if the class was never predicted.

    `images` is the number of images of the class.
    """

    name: str
    images: int
    recall: float
    precision: float | None


@dataclass(frozen=True)
class Cell:
    """One cell of the heat map; `strength` is the intensity of its colour from 0 to 1."""

    count: int
    correct: bool
    strength: float
    tooltip: str


def confused_pairs(matrix: Matrix, classes: Sequence[str], limit: int) -> list[Pair]:
    """The `limit` most confused pairs, by count and then by share of the class."""
    pairs = [
        Pair(classes[true], classes[predicted], count, count / sum(row))
        for true, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.true, pair.predicted))[:limit]


def hardest_classes(matrix: Matrix, classes: Sequence[str], limit: int) -> list[ClassFigures]:
    """The `limit` classes with the lowest recall, lowest first. Classes without errors or without images are left out."""
    figures = [
        ClassFigures(
            name=classes[index],
            images=sum(row),
            recall=row[index] / sum(row),
            precision=_share(row[index], sum(other[index] for other in matrix)),
        )
        for index, row in enumerate(matrix)
        if row[index] < sum(row)
    ]
    return sorted(figures, key=lambda figure: (figure.recall, figure.name))[:limit]


def heat_map(matrix: Matrix, classes: Sequence[str]) -> list[list[Cell]]:
    """The cells of the matrix, coloured by their share of the row so that rare errors are visible."""
    return [[_cell(row, true, predicted, classes) for predicted in range(len(row))] for true, row in enumerate(matrix)]


def _cell(row: Sequence[int], true: int, predicted: int, classes: Sequence[str]) -> Cell:
    count, share = row[predicted], _share(row[predicted], sum(row)) or 0.0
    correct = true == predicted
    outcome = "correct" if correct else f"predicted as {classes[predicted]}"
    tooltip = f"{classes[true]}: {count} of {sum(row)} {outcome}"
    # The square root makes rare errors visible: 1 of 100 gets a tenth of the colour.
    return Cell(count, correct, round(share if correct else share**0.5, 3), tooltip)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
