"""What a training leaves behind besides the weights."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; losses are means per sample, shares run from 0 to 1."""

    epoch: int  # counted from 1
    loss: float  # of the recipe's objective on the training set, while the weights moved
    learning_rate: float  # of the epoch's last step
    val_loss: float  # cross-entropy in nats, of the weights that would be kept (averaged ones with EMA)
    val_accuracy: float  # top-1 of the same
    seconds: float  # training and validation


@dataclass(frozen=True)
class TrainResult:
    """The course of a training and the epoch whose weights the network now holds."""

    history: tuple[EpochRecord, ...]
    best_epoch: int  # counted from 1
    val_accuracy: float  # of the best epoch
    val_loss: float
    steps: int  # optimizer steps so far
    finished: bool  # False when it was asked to stop after an earlier epoch than the recipe's last

    @property
    def seconds(self) -> float:
        return sum(record.seconds for record in self.history)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts, as JSON wants them."""
        return {**asdict(self), "history": [asdict(record) for record in self.history], "seconds": self.seconds}
