"""What an accuracy is compared with: answers without a look at the image, and how the classes fare one by one."""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

NAMES_SHOWN = 10
"""Classes that a line of text names."""


NEAR_CHANCE = 0.1
"""Share of the distance from the baseline to 100 %. An accuracy whose lower bound lies below it is near chance."""


def is_clearly_better(low: float, majority: float) -> bool:
    """Whether an accuracy with the lower end `low` of its 95 % interval is clearly above that of the most frequent class."""
    return low >= majority + NEAR_CHANCE * (1 - majority)


class Baselines(BaseModel):
    """The baselines of a test set, and the accuracy class by class; all shares run from 0 to 1.

    Attributes:
        majority: accuracy of always predicting the most frequent class of the set.
        random: expected accuracy of guessing, each class equally often.
        mean_recall: mean of the recalls of the classes with images (balanced accuracy). `majority` and guessing reach one over
            the number of classes.
        never_recognised: indices of the classes with images of which none was recognised.
        better: whether the accuracy is clearly above `majority`, see `is_clearly_better`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    majority: float
    random: float
    mean_recall: float
    never_recognised: tuple[int, ...] = ()
    better: bool

    @classmethod
    def of(cls, confusion: Sequence[Sequence[int]], low: float) -> Self:
        """The baselines of a confusion matrix [true][predicted] with at least one image, whose accuracy is at least `low`."""
        counts = [sum(row) for row in confusion]
        total = sum(counts)
        right = [row[place] for place, row in enumerate(confusion)]
        present = [place for place, count in enumerate(counts) if count]
        majority = max(counts) / total
        return cls(
            majority=majority,
            random=1 / len(confusion),
            mean_recall=sum(right[place] / counts[place] for place in present) / len(present),
            never_recognised=tuple(place for place in present if not right[place]),
            better=is_clearly_better(low, majority),
        )

    def words(self, classes: Sequence[str]) -> str:
        """``always the most frequent class 41.9 %, guessing 16.7 %; mean of the classes 30.2 %; never recognised: plants``."""
        text = (
            f"always the most frequent class {_percent(self.majority)}, guessing {_percent(self.random)}; mean of the classes "
            f"{_percent(self.mean_recall)}"
        )
        if not self.never_recognised:
            return text
        names = [classes[index] for index in self.never_recognised]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        return f"{text}; never recognised: {', '.join(names[:NAMES_SHOWN])}{more}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
