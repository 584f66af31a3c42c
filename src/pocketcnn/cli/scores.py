"""An evaluation as data for JSON, with the classes by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketcnn.training import Evaluation


def figures_of(evaluation: "Evaluation", classes: Sequence[str]) -> dict[str, Any]:
    """All figures; shares run from 0 to 1."""
    return {
        "images": evaluation.count,
        "top1": evaluation.top1,
        "top1_interval": evaluation.top1_interval,
        "top5": evaluation.top5,
        "loss": evaluation.loss,
        "recall": dict(zip(classes, evaluation.recall, strict=True)),
        "confused": [
            {"true": true, "predicted": predicted, "images": count}
            for true, predicted, count in confused(evaluation, classes)
        ],
        "confusion": evaluation.confusion,
        "classes": classes,
    }


def confused(evaluation: "Evaluation", classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """(true class, predicted class, images) of every pair that was confused, the most frequent first."""
    pairs = [
        (classes[true], classes[predicted], count)
        for true, row in enumerate(evaluation.confusion)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))
