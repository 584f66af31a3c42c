"""When a training is saved, and what the user is told about it."""

import time
from pathlib import Path

import torch

from pocketcnn.errors import UsageError
from pocketcnn.training.checkpoint import LoadedCheckpoint, checkpoints, load_newest, save_checkpoint
from pocketcnn.training.progress import Progress
from pocketcnn.training.run import TrainingRun


class CheckpointSaver:
    """Writes checkpoints of a run into `folder` not more often than `interval` seconds; without a folder, none.

    Going on from a checkpoint repeats the steps after it exactly, so an interval costs time only, never the result.
    """

    def __init__(self, folder: Path | None, interval: float) -> None:
        self.folder, self.interval = folder, interval
        self._saved_at = time.monotonic()
        self._saved_step = -1

    def restore(self, run: TrainingRun, *, resume: bool, progress: Progress) -> None:
        """Bring `run` to the newest checkpoint, if there is one and `resume` is set.

        Raises:
            UsageError: the folder holds a training that was not to be resumed, or another one.
            PocketcnnError: there are checkpoints, and all are damaged.
        """
        if self.folder is None:
            if resume:
                raise UsageError("Resuming needs the folder of the interrupted training (out=…, --out).")
            return
        if not resume:
            if checkpoints(self.folder):
                raise UsageError(
                    f"{self.folder.parent} already holds a training. "
                    "Resume it (--resume; in Python resume=True), or choose another folder."
                )
            return
        loaded = load_newest(self.folder)
        if loaded is None:
            progress.note(f"There is no checkpoint in {self.folder}: training starts at the beginning.")
            return
        run.load_state_dict(loaded.state)
        self._saved_step = run.step
        progress.note(_resume_message(loaded, run))

    def step(self, run: TrainingRun) -> None:
        """Save if the interval is over. To be called where a step is complete."""
        if self.folder is not None and time.monotonic() - self._saved_at >= self.interval:
            self.save(run)

    def save(self, run: TrainingRun) -> None:
        """Save now.

        Raises:
            NonFiniteLoss: the weights are no longer numbers; the earlier checkpoints stay.
            PocketcnnError: the disk is full or the folder cannot be written to; the earlier checkpoints stay.
        """
        if self.folder is None:
            return
        if not all_finite(run.network):
            run.check_loss(float("nan"))
        save_checkpoint(self.folder, run.step, run.state_dict())
        self._saved_at, self._saved_step = time.monotonic(), run.step

    def kept(self) -> str:
        """What is on disk, in a sentence."""
        if self.folder is None:
            return "Nothing was saved, because the training had no output folder (out=…, --out)."
        if self._saved_step < 0:
            return "There was no checkpoint yet."
        return f"{self.folder.parent} holds a checkpoint of step {self._saved_step}."

    def resume_hint(self) -> str:
        """The same, and how to go on from there."""
        if self._saved_step < 0:
            return self.kept()
        return f"{self.kept()} Go on from there with the same command and --resume (in Python: resume=True)."


def all_finite(network: torch.nn.Module) -> bool:
    """Whether every weight and statistic is a number."""
    return all(bool(torch.isfinite(t).all()) for t in network.state_dict().values() if t.is_floating_point())


def _resume_message(loaded: LoadedCheckpoint, run: TrainingRun) -> str:
    damaged = "".join(f"{path.name} is damaged and was put aside. " for path in loaded.damaged)
    return f"{damaged}Going on after epoch {run.epoch} of {run.recipe.epochs}, step {run.step} ({loaded.path.name})."
