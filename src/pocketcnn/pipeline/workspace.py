"""Where a `fit` keeps its unfinished work, so that the same command goes on where it was stopped."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pocketcnn.data import ImageDataset
from pocketcnn.files import write_text
from pocketcnn.pipeline.teachers import TeachersFor, no_teachers
from pocketcnn.targets import Budget
from pocketcnn.training import Progress, QuietProgress, Recipe, TrainResult, train
from pocketcnn.training.checkpoint import checkpoints

ProgressFor = Callable[[str], Progress]
"""Makes the progress display of one training from its title."""


Say = Callable[[str], None]
"""Is told each thing that was found out."""


def fingerprint_of(network: nn.Module) -> str:
    """A checksum over the names and values of all tensors of a network."""
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
    """A folder for checkpoints. Its name is a fingerprint of the settings: other settings never resume this work.

    `teachers` are learned from in every training, beside the one that a stage has.
    """

    folder: Path
    progress_for: ProgressFor = quiet
    teachers: TeachersFor = no_teachers

    @classmethod
    def of(
        cls, out: Path, settings: dict[str, object], progress_for: ProgressFor, teachers: TeachersFor = no_teachers
    ) -> "Workspace":
        """The workspace of these settings below `out`."""
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
        """Train under the name `stage`, or take up what an earlier run of the same command left of it.

        `structure` tells networks apart that a stage may train: what an earlier run left of another one is not taken up.
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
        )

    def budget(self, question: str, measured: Callable[[], Budget]) -> Budget:
        """An absolute budget: what an earlier run of the same command measured for this `question`, or what `measured` says.

        Times vary from run to run, and what is kept here was made for the budget of then.
        """
        path = self.folder / "budgets.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if question not in known:
            known[question] = str(measured())
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(known, indent=1) + "\n")
        return Budget.parse(known[question])

    def clear(self) -> None:
        """Remove the unfinished work; the results lie elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)
        parent = self.folder.parent
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
