"""Checks of the accuracy after each compression step, with confidence intervals, so that noise on few images is no loss.

A step may cost `CompressionMethod.max_loss` of the validation accuracy. If it significantly costs more, the network is
fine-tuned for longer. A loss that remains is a warning in `FitResult.warnings`, in the terminal and in the report. So is a
file whose accuracy is near that of always predicting the most frequent class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from pocketcnn.errors import AccuracyNotMet
from pocketcnn.records.baselines import NEAR_CHANCE, is_clearly_better
from pocketcnn.records.result import Accuracy, StageRecord

MAX_LOSS = 0.02
"""Largest accepted drop of the validation accuracy in one step, as a share from 0 to 1, unless another is given."""

LONGER = 2
"""Factor on the epochs of the additional fine-tuning after a step that significantly lost more than accepted."""

TUNED = ", fine-tuned"
"""Suffix of the name of a stage that recovers the loss of the stage before it."""

REMEDIES = {
    "clustered": "use more bits for the clustered weights (--cluster-bits), or train longer (--effort)",
    "sparse": "choose a lower sparsity (--sparsity), or train longer (--effort)",
    "pruned": "loosen the budget, prune in more stages (--stages), or train longer (--effort)",
    "restructured": "keep more blocks or larger images (--blocks, --resolution), or train longer (--effort)",
    "quantized": "loosen the limits so that a float32 file keeps them, or train longer (--effort)",
}
"""How to lose less accuracy, by the first word of a stage's name."""


@dataclass(frozen=True)
class Loss:
    """Drop from one accuracy to another, as a share from -1 to 1, with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def exceeds(self, max_loss: float) -> bool:
        """Whether the drop is larger than `max_loss` and significant at the 95 % level."""
        return self.value > max_loss and self.low > 0


def loss(before: Accuracy, after: Accuracy) -> Loss:
    """The drop of the accuracy from `before` to `after`.

    The interval is computed from both Wilson intervals (Newcombe, Interval estimation for the difference between independent
    proportions, Statistics in Medicine 1998, method 10). For two networks on the same images it is conservative (too wide).
    """
    value = before.top1 - after.top1
    low = value - hypot(before.top1 - before.low, after.high - after.top1)
    high = value + hypot(before.high - before.top1, after.top1 - after.low)
    return Loss(value, low, high)


def baseline(confusion: Sequence[Sequence[int]]) -> float:
    """The accuracy of always predicting the most frequent class, from a confusion matrix [true][predicted]."""
    images_of_class = [sum(row) for row in confusion]
    return max(images_of_class) / sum(images_of_class)


def baseline_of(labels: Sequence[int]) -> float:
    """The accuracy of always predicting the most frequent class, from the labels of the images."""
    return max(map(labels.count, set(labels))) / len(labels)


def is_near_chance(accuracy: Accuracy, chance: float) -> bool:
    """Whether the lower bound of `accuracy` is close to the accuracy `chance` of the baseline, see `NEAR_CHANCE`."""
    return not is_clearly_better(accuracy.low, chance)


def chance_warnings(accuracy: Accuracy, chance: float, subject: str = "The file") -> tuple[str, ...]:
    """A warning if the test accuracy is near that of always predicting the most frequent class; otherwise empty.

    Args:
        accuracy: on the test images.
        chance: accuracy of the baseline, see `baseline`.
        subject: what was evaluated, as the first words of the sentence.
    """
    if not is_near_chance(accuracy, chance):
        return ()
    figures = (
        f"{subject} classifies {accuracy.top1:.1%} of {accuracy.images} test images correctly (95 % interval "
        f"{accuracy.low:.1%} to {accuracy.high:.1%}); always predicting the most frequent class gives {chance:.1%}."
    )
    if accuracy.top1 < chance + NEAR_CHANCE * (1 - chance):
        return (_with_spaced_percents(f"The accuracy is near chance. {figures} Do not deploy it."),)
    return (_with_spaced_percents(f"With so few images the accuracy cannot be distinguished from chance. {figures}"),)


def require_accuracy(accuracy: Accuracy, chance: float) -> None:
    """Check that an accuracy is clearly better than that of the baseline, see `NEAR_CHANCE`.

    Raises:
        AccuracyNotMet: it is not.
    """
    if warnings := chance_warnings(accuracy, chance, "The network"):
        raise AccuracyNotMet(
            f"{warnings[0]} More images of each class, or more training (--effort, --epochs), may help."
        )


def loss_warnings(stages: Sequence[StageRecord], final: Accuracy, max_loss: float) -> tuple[str, ...]:
    """A warning for each stage whose loss of validation accuracy significantly exceeds `max_loss` and was not recovered.

    Args:
        stages: of the compression, in order.
        final: validation accuracy of the written file.
        max_loss: accepted loss of one step, as a share from 0 to 1.
    """
    if not stages:
        return ()
    names = {stage.name for stage in stages}
    stages = [stage for stage in stages if f"{stage.name}{TUNED}" not in names]
    after = [*((stage.name, stage.validation) for stage in stages[1:]), ("written", final)]
    warnings = []
    for before, (name, accuracy) in zip(stages, after, strict=True):
        if loss(before.validation, accuracy).exceeds(max_loss) and loss(before.validation, final).exceeds(max_loss):
            warnings.append(_loss_warning(f"The step “{name}”", before.validation, accuracy, max_loss, name))
    first = stages[0].validation
    if not warnings and loss(first, final).exceeds(max_loss):
        warnings.append(_loss_warning("All steps together", first, final, max_loss, ""))
    return tuple(warnings)


def format_loss(before: Accuracy, after: Accuracy) -> str:
    """``4.1 points of the validation accuracy (97.4 % to 93.3 % of 270 images; 95 % interval 0.6 to 7.6)``."""
    lost = loss(before, after)
    return _with_spaced_percents(
        f"{100 * lost.value:.1f} points of the validation accuracy ({before.top1:.1%} to {after.top1:.1%} of {after.images} "
        f"images; 95 % interval {100 * lost.low:.1f} to {100 * lost.high:.1f})"
    )


def _loss_warning(subject: str, before: Accuracy, after: Accuracy, max_loss: float, name: str) -> str:
    remedy = next((text for start, text in REMEDIES.items() if name.startswith(start)), "train longer (--effort)")
    return f"{subject} cost {format_loss(before, after)}; at most {100 * max_loss:g} points are accepted. To lose less, {remedy}."


def _with_spaced_percents(text: str) -> str:
    """`text` with exactly one space before each percent sign."""
    return text.replace(" %", "%").replace("%", " %")
