"""Saves and restores checkpoints of a training, and tells the user about it."""

import time
from pathlib import Path

import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.training.basis import KEY, other_versions
from pocketcnn.training.checkpoint import LoadedCheckpoint, checkpoints, load_newest, save_checkpoint
from pocketcnn.training.progress import Progress
from pocketcnn.training.run import TrainingRun


class CheckpointSaver:
    """Writes checkpoints of a run into `folder`, at most one every `interval` seconds; without a folder, none.

    Resuming repeats the steps after a checkpoint exactly, so the interval affects only the time, never the result.
    """

    def __init__(self, folder: Path | None, interval: float) -> None:
        self.folder, self.interval = folder, interval
        self._saved_at = time.monotonic()
        self._saved_step = -1

    def restore(self, run: TrainingRun, *, resume: bool, progress: Progress) -> None:
        """Restore `run` from the newest checkpoint, if there is one and `resume` is set.

        Raises:
            UsageError: the folder holds a training that was not to be resumed, or a different one.
            PocketcnnError: all checkpoints are damaged.
        """
        if self.folder is None:
            if resume:
                raise UsageError("To resume, pass the folder of the interrupted training (out=…, --out).")
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
            progress.note(f"There is no checkpoint in {self.folder}: the training starts from the beginning.")
            return
        try:
            run.load_state_dict(loaded.state)
        except UsageError:
            raise
        except Exception as error:  # a file that can be read may hold anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PocketcnnError(
                f"The checkpoint {loaded.path} cannot be used: {reason}. Remove it to resume from the one before it, or train "
                "into another folder."
            ) from error
        self._saved_step = run.step
        progress.note(_resume_message(loaded, run))
        if note := _note_on_basis(loaded, run):
            progress.note(note)

    def step(self, run: TrainingRun) -> None:
        """Save if the interval has passed. Call it after a complete step."""
        if self.folder is not None and time.monotonic() - self._saved_at >= self.interval:
            self.save(run)

    def save(self, run: TrainingRun) -> None:
        """Save now.

        Raises:
            NonFiniteLoss: the weights are not finite; earlier checkpoints are kept.
            PocketcnnError: the disk is full or the folder is not writable; earlier checkpoints are kept.
        """
        if self.folder is None:
            return
        if not all_finite(run.network):
            run.check_loss(float("nan"))
        save_checkpoint(self.folder, run.step, run.state_dict())
        self._saved_at, self._saved_step = time.monotonic(), run.step

    def kept(self) -> str:
        """What is saved, as a sentence."""
        if self.folder is None:
            return "Nothing was saved, because there is no output folder (out=…, --out)."
        if self._saved_step < 0:
            return "No checkpoint was saved yet."
        return f"{self.folder.parent} holds a checkpoint of step {self._saved_step}."

    def resume_hint(self) -> str:
        """What is saved, and how to resume from it."""
        if self._saved_step < 0:
            return self.kept()
        return f"{self.kept()} Resume with the same command and --resume (in Python: resume=True)."


def all_finite(network: torch.nn.Module) -> bool:
    """Whether all weights and statistics are finite."""
    return all(bool(torch.isfinite(t).all()) for t in network.state_dict().values() if t.is_floating_point())


def _resume_message(loaded: LoadedCheckpoint, run: TrainingRun) -> str:
    damaged = "".join(f"{path.name} is damaged and was renamed. " for path in loaded.damaged)
    return f"{damaged}Resuming after epoch {run.epoch} of {run.recipe.epochs}, step {run.step} ({loaded.path.name})."


def _note_on_basis(loaded: LoadedCheckpoint, run: TrainingRun) -> str:
    if KEY in loaded.state:
        return other_versions(loaded.state[KEY])
    if run.basis is None:
        return ""
    return (
        "The checkpoint is of an earlier version and does not say which images it belongs to, so they are not compared."
    )
