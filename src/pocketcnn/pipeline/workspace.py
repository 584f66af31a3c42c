"""The folder for checkpoints and intermediate results, from which the same command resumes an interrupted run."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pocketcnn.data import ImageDataset
from pocketcnn.documents import read_record
from pocketcnn.files import write_text
from pocketcnn.pipeline.teachers import TeachersFor, no_teachers
from pocketcnn.targets import Budget
from pocketcnn.training import Progress, QuietProgress, Recipe, TrainResult, train
from pocketcnn.training.basis import TrainingBasis, input_facts
from pocketcnn.training.checkpoint import checkpoints

ProgressFor = Callable[[str], Progress]
"""Creates the progress display of a training from its title."""


Say = Callable[[str], None]
"""Called with each status message."""


def fingerprint_of(network: nn.Module) -> str:
    """SHA-256 over the names and values of all tensors of a network."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def structure_of(network: nn.Module) -> str:
    """A short checksum over the names and shapes of all tensors of a network."""
    shapes = [(name, *tensor.shape) for name, tensor in network.state_dict().items()]
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:8]


def quiet(_title: str) -> Progress:
    """No progress display."""
    return QuietProgress()


@dataclass(frozen=True)
class Workspace:
    """A folder for checkpoints. Its name is a checksum of the settings, so that other settings never resume its work.

    Every training learns from `teachers`, in addition to the teacher of its stage.
    """

    folder: Path
    progress_for: ProgressFor = quiet
    teachers: TeachersFor = no_teachers

    @classmethod
    def of(
        cls, out: Path, settings: dict[str, object], progress_for: ProgressFor, teachers: TeachersFor = no_teachers
    ) -> "Workspace":
        """The workspace for `settings`, in the folder `out`."""
        text = json.dumps(settings, sort_keys=True, default=str)
        return cls(out / "work" / hashlib.sha256(text.encode()).hexdigest()[:16], progress_for, teachers)

    def train(
        self,
        stage: str,
        network: nn.Module,
        train_set: ImageDataset,
        val_set: ImageDataset,
        recipe: Recipe,
        teacher: nn.Module | None = None,
        *,
        structure: str = "",
    ) -> TrainResult:
        """Train the network, or resume the training of the same `stage` from an interrupted run.

        Checkpoints are resumed only if `structure` is the same. It identifies the shapes of the network, see `structure_of`.
        """
        out = self.folder / f"{stage} {structure}".strip()
        return train(
            network,
            train_set,
            val_set,
            recipe,
            out=out,
            teacher=[*([teacher] if teacher is not None else []), *self.teachers(train_set.contract)],
            resume=bool(checkpoints(out / "checkpoints")),
            progress=self.progress_for(stage),
            basis=TrainingBasis(facts=input_facts(train_set.contract)),
        )

    def budget(self, key: str, measure: Callable[[], Budget]) -> Budget:
        """The absolute budget that an interrupted run stored for `key`, or else the result of `measure()`, which is stored.

        Latencies vary between runs, and the checkpoints were made for the stored budget.
        """
        path = self.folder / "budgets.json"
        advice = "Remove it, and the budget is measured again."
        stored = read_record(path, "record of budgets", dict[str, str], advice=advice) if path.exists() else {}
        if key not in stored:
            stored[key] = str(measure())
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(stored, indent=1) + "\n")
        return Budget.parse(stored[key])

    def clear(self) -> None:
        """Remove the checkpoints; results are stored elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)
        parent = self.folder.parent
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
