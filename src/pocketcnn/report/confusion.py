"""What a network takes for what: from a confusion matrix to the pairs and classes worth a look."""

from collections.abc import Sequence
from dataclasses import dataclass

SOLID_FROM = 0.85  # cells stronger than this get the full colour, and text in the colour of the page

Matrix = Sequence[Sequence[int]]
"""matrix[true][predicted], in images."""


@dataclass(frozen=True)
class Pair:
    """`count` images of class `true` were taken for `predicted`: `share` of that class."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassFigures:
    """How a class fares: `recall` is the share of its images that were found, `precision` of the finds that were right.

    `precision` is None where nothing was taken for the class.
    """

    name: str
    images: int
    recall: float
    precision: float | None


@dataclass(frozen=True)
class Cell:
    """One field of the heat map: `strength` from 0 to 1 of its colour."""

    count: int
    correct: bool
    strength: float
    tooltip: str


def confused_pairs(matrix: Matrix, classes: Sequence[str], most: int) -> list[Pair]:
    """The pairs confused most often, by count and then by share of the class, at most `most`."""
    pairs = [
        Pair(classes[true], classes[predicted], count, count / sum(row))
        for true, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.true, pair.predicted))[:most]


def hardest_classes(matrix: Matrix, classes: Sequence[str], most: int) -> list[ClassFigures]:
    """The classes with the lowest recall first, at most `most`; those without a miss (or without images) are left out."""
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
    return sorted(figures, key=lambda figure: (figure.recall, figure.name))[:most]


def heat_map(matrix: Matrix, classes: Sequence[str]) -> list[list[Cell]]:
    """Cells of the matrix, coloured by their share of the row. A single error among many images stays visible."""
    return [[_cell(row, true, predicted, classes) for predicted in range(len(row))] for true, row in enumerate(matrix)]


def _cell(row: Sequence[int], true: int, predicted: int, classes: Sequence[str]) -> Cell:
    count, share = row[predicted], _share(row[predicted], sum(row)) or 0.0
    correct = true == predicted
    seen = "recognised" if correct else f"taken for {classes[predicted]}"
    tooltip = f"{classes[true]}: {count} of {sum(row)} {seen}"
    # The square root lifts rare errors: 1 of 100 gets a tenth of the colour.
    return Cell(count, correct, round(share if correct else share**0.5, 3), tooltip)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
