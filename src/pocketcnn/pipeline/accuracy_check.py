"""Whether accuracy was lost, and whether any is left: judged with intervals, so that noise on few images is no loss.

A step of a compression may cost `Method.max_loss` of the validation accuracy. One that clearly costs more is trained longer;
what is lost all the same, and a file that does little better than always answering with the commonest class, is said in
`FitResult.warnings`, in the terminal and in the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from pocketcnn.records.result import Accuracy, StageRecord

MAX_LOSS = 0.02
"""Share of the validation images that a step may answer worse, if nothing else is asked for."""

LONGER = 2
"""A step that clearly lost more is fine-tuned on for so many times its epochs."""

NEAR_CHANCE = 0.1
"""Share of the way from the baseline to no mistakes: the lower end of the accuracy's interval must lie beyond."""

TUNED = ", fine-tuned"
"""At the end of the name of a stage that makes up for what the one before it cost."""

REMEDIES = {
    "shared": "let the weights share more values (--cluster-bits), or train longer (--effort)",
    "sparse": "ask for fewer zeros (--sparsity), or train longer (--effort)",
    "pruned": "loosen the budget, prune in more stages (--stages), or train longer (--effort)",
    "restructured": "keep more blocks or larger images (--blocks, --resolution), or train longer (--effort)",
    "quantized": "loosen the limits so that float32 keeps them, or train longer (--effort)",
}
"""What helps against a loss, by the first words of a stage's name."""


@dataclass(frozen=True)
class Loss:
    """How much lower one accuracy is than another, as a share of the images, with its 95 % interval."""

    value: float
    low: float
    high: float

    def exceeds(self, most: float) -> bool:
        """Whether it is more than `most`, and more than chance explains."""
        return self.value > most and self.low > 0


def loss(before: Accuracy, after: Accuracy) -> Loss:
    """What was lost from `before` to `after`.

    Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 1998, method 10:
    from the Wilson intervals of both. On the same images it is on the safe side: the interval is rather too wide.
    """
    value = before.top1 - after.top1
    low = value - hypot(before.top1 - before.low, after.high - after.top1)
    high = value + hypot(before.high - before.top1, after.top1 - after.low)
    return Loss(value, low, high)


def baseline(confusion: Sequence[Sequence[int]]) -> float:
    """The accuracy of always answering with the commonest class, by a confusion matrix [true][predicted]."""
    of_class = [sum(row) for row in confusion]
    return max(of_class) / sum(of_class)


def baseline_of(labels: Sequence[int]) -> float:
    """The same by the labels of the images."""
    return max(map(labels.count, set(labels))) / len(labels)


def is_near_chance(accuracy: Accuracy, chance: float) -> bool:
    """Whether the images leave it open that a network does little better than the baseline `chance`."""
    return accuracy.low < chance + NEAR_CHANCE * (1 - chance)


def chance_warnings(accuracy: Accuracy, chance: float, what: str = "The file") -> tuple[str, ...]:
    """A sentence where an accuracy on test images is near that of always answering with the commonest class."""
    if not is_near_chance(accuracy, chance):
        return ()
    found = (
        f"{what} is right on {accuracy.top1:.1%} of {accuracy.images} test images (95 % interval {accuracy.low:.1%} to "
        f"{accuracy.high:.1%}); always answering with the commonest class is right on {chance:.1%}."
    )
    if accuracy.top1 < chance + NEAR_CHANCE * (1 - chance):
        return (_spaced(f"The accuracy is near chance. {found} Do not deploy it."),)
    return (_spaced(f"The accuracy cannot be told from chance on so few images. {found}"),)


def loss_warnings(stages: Sequence[StageRecord], final: Accuracy, most: float) -> tuple[str, ...]:
    """Sentences on the stages that cost clearly more than `most` of the validation accuracy and were not made up for.

    `final` is the validation accuracy of the file in the end.
    """
    if not stages:
        return ()
    names = {stage.name for stage in stages}
    stages = [stage for stage in stages if f"{stage.name}{TUNED}" not in names]
    after = [*((stage.name, stage.validation) for stage in stages[1:]), ("written", final)]
    found = []
    for before, (name, accuracy) in zip(stages, after, strict=True):
        lost = loss(before.validation, accuracy)
        if lost.exceeds(most) and loss(before.validation, final).exceeds(most):
            found.append(_lost(f"The step “{name}”", before.validation, accuracy, most, name))
    first = stages[0].validation
    if not found and loss(first, final).exceeds(most):
        found.append(_lost("All steps together", first, final, most, ""))
    return tuple(found)


def lost_in_words(before: Accuracy, after: Accuracy) -> str:
    """``4.1 points of the validation accuracy (97.4 % to 93.3 % of 270 images; 95 % interval 0.6 to 7.6)``."""
    lost = loss(before, after)
    return _spaced(
        f"{100 * lost.value:.1f} points of the validation accuracy ({before.top1:.1%} to {after.top1:.1%} of {after.images} "
        f"images; 95 % interval {100 * lost.low:.1f} to {100 * lost.high:.1f})"
    )


def _lost(who: str, before: Accuracy, after: Accuracy, most: float, name: str) -> str:
    remedy = next((text for start, text in REMEDIES.items() if name.startswith(start)), "train longer (--effort)")
    return f"{who} cost {lost_in_words(before, after)}; {100 * most:g} are accepted. To lose less, {remedy}."


def _spaced(text: str) -> str:
    """Percent signs after a space, once."""
    return text.replace(" %", "%").replace("%", " %")
