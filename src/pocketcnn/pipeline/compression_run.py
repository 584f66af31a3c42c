"""The state of one compression that all its steps share: images, budget, training recipes, and records of the stages.

The steps are `restructure`, `pruning`, `shrink`, `clustering` and `strategies` in `pipeline/compress/`.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace

from torch import nn

from pocketcnn.compression.coding.sparsity import zeros_kept
from pocketcnn.compression.pruning.prune import Fits
from pocketcnn.cost import count
from pocketcnn.data import ImageDataset
from pocketcnn.graph import GraphNetwork, Stage
from pocketcnn.pipeline.accuracy_check import LONGER, loss
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.recipes import Splits, TrainingRecipes
from pocketcnn.pipeline.workspace import Workspace, structure_of
from pocketcnn.records.result import Accuracy, StageRecord
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, evaluate

Pruner = Callable[[GraphNetwork, "CompressionRun", Fits], tuple[GraphNetwork, bool]]
"""Prunes a network until it fits and fine-tunes it with the unpruned one as teacher: (network, whether it fits)."""


@dataclass(frozen=True)
class CompressionRun:
    """The state of one compression: its inputs, and the records of its stages."""

    sets: Splits
    budget: Budget
    trainings: TrainingRecipes
    workspace: Workspace
    say: Callable[[str], None]
    data: str
    """Fingerprint of the images."""
    stages: list[StageRecord] = field(default_factory=list)
    attempt: int = 0
    pruner: Pruner | None = None
    """Prunes by another method than the ranking of all channels, see `strategies.pruner_of`."""
    method: CompressionMethod = field(default_factory=CompressionMethod)
    """Options of the compression."""

    def with_budget(self, budget: Budget, attempt: int) -> "CompressionRun":
        """The same run with another budget, as attempt `attempt` (from 0). The list of stages is shared."""
        return replace(self, budget=budget, attempt=attempt)

    def train(self, stage: str, network: nn.Module, recipe: Recipe, teacher: nn.Module) -> None:
        """Train `network` with `teacher`; resumable by the name of the stage. With sparsity, zero weights stay zero.

        Measured latencies vary, so a repeated run may prune to other widths. Checkpoints of other widths are not resumed.
        """
        name = f"{stage} {self.attempt + 1}" if self.attempt else stage
        with zeros_kept(network) if self.method.sparsity else nullcontext():
            structure = structure_of(network)
            self.workspace.train(name, network, self.sets.train, self.sets.val, recipe, teacher, structure=structure)

    def loses_too_much(self, now: Accuracy) -> bool:
        """Whether the validation accuracy `now` is significantly more than `max_loss` below that of the last stage."""
        return bool(self.stages) and loss(self.stages[-1].validation, now).exceeds(self.method.max_loss)

    def record(
        self, name: str, network: GraphNetwork, *, settings: dict[str, object], seconds: float, note: str = ""
    ) -> None:
        """Evaluate `network` on val and test; append the stage `name` to the records and to the network's lineage.

        Args:
            settings: of the stage, for the lineage.
            seconds: duration of the stage.
        """
        validation, test = accuracy(network, self.sets.val), accuracy(network, self.sets.test)
        cost = count(network.graph)
        before = {"val_accuracy_before": self.stages[-1].validation.top1} if self.stages else {}
        self.stages.append(
            StageRecord(
                name=name,
                validation=validation,
                test=test,
                params=cost.params,
                madds=cost.madds,
                weight_bytes=cost.weight_bytes,
                peak_activation_bytes=cost.peak_activation_bytes,
                seconds=seconds,
                note=note,
            )
        )
        figures = {**before, "val_accuracy": validation.top1, "test_accuracy": test.top1, "madds": cost.madds}
        stage = Stage(name=name, settings=settings, seed=self.trainings.seed, data=self.data, figures=figures)
        network.info = network.info.with_stage(stage)
        self.say(f"{name}: val {validation.top1:.2%}, {cost.madds / 1e6:.2f} M multiply-adds. {note}".strip())


@dataclass(frozen=True)
class CompressedNetwork:
    """The network to deploy, the float network before quantization, and whether pruning could reach the budget."""

    network: GraphNetwork
    float_network: GraphNetwork
    within_reach: bool


Compressor = Callable[[GraphNetwork, CompressionRun], CompressedNetwork]
"""Compresses a trained float network to the budget of a run."""


def recover(
    name: str, network: GraphNetwork, teacher: nn.Module, run: CompressionRun, settings: dict[str, object]
) -> None:
    """Fine-tune `network` with the network it was made from as teacher, and record the stage.

    If the loss since the last stage exceeds `max_loss`, the network is fine-tuned further. If fine-tuning lowers the
    validation accuracy, the weights before it are restored: reconstructed layers may be better than an undertrained teacher.

    Args:
        name: of the stage.
        teacher: the network before this step.
        settings: of the step, for the lineage.
    """
    began = time.monotonic()
    before, start = accuracy(network, run.sets.val).top1, deepcopy(network.state_dict())
    recipe = run.trainings.recovery()
    run.train(name, network, recipe, teacher)
    note = f"{before:.1%} before fine-tuning with the unpruned network as teacher"
    tuned = accuracy(network, run.sets.val)
    if run.loses_too_much(tuned):
        recipe = longer(recipe)
        run.train(f"{name}, longer", network, recipe, teacher)
        tuned = accuracy(network, run.sets.val)
        note += ", fine-tuned longer because the loss was too large"
    after = tuned.top1
    if after < before:
        network.load_state_dict(start)
        note += f"; fine-tuning gave {after:.1%} and was undone"
    recorded = {**settings, "recipe": recipe.model_dump(mode="json")}
    run.record(name, network, settings=recorded, seconds=time.monotonic() - began, note=note)


def longer(recipe: Recipe) -> Recipe:
    """The recipe of the additional fine-tuning after a loss that is too large."""
    return recipe.with_(epochs=LONGER * recipe.epochs)


def accuracy(network: GraphNetwork, split: ImageDataset) -> Accuracy:
    """Top-1 accuracy of `network` on `split`, with its 95 % interval, as a record."""
    found = evaluate(network, split)
    return Accuracy(top1=found.top1, low=found.top1_interval[0], high=found.top1_interval[1], images=found.count)
