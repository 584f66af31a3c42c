"""The records of a training."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class EpochRecord:
    """One epoch; losses are means per sample, shares are from 0 to 1."""

    epoch: int  # counted from 1
    loss: float  # of the recipe's objective on the training set, while the weights moved
    learning_rate: float  # of the epoch's last step
    val_loss: float  # cross-entropy in nats, of the weights that would be kept (averaged ones with EMA)
    val_accuracy: float  # top-1 of the same
    seconds: float  # training and validation


@dataclass(frozen=True)
class TrainResult:
    """The history of a training, and the epoch whose weights the network now has."""

    history: tuple[EpochRecord, ...]
    best_epoch: int  # counted from 1
    val_accuracy: float  # of the best epoch
    val_loss: float
    steps: int  # optimizer steps so far
    finished: bool  # False if `stop_after` ended it before the recipe's last epoch

    @property
    def seconds(self) -> float:
        return sum(record.seconds for record in self.history)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "history": [asdict(record) for record in self.history], "seconds": self.seconds}
