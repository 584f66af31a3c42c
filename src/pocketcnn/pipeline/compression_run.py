"""What every step of a compression works with: the images, the budget, the trainings, and the record of the stages.

The steps themselves (`restructure`, `narrowing`, `shrink`, `store`, `strategies`) import this module and not each other for it.
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
"""Prunes a network until it fits and recovers it against the unpruned one; whether it could be made to fit."""


@dataclass(frozen=True)
class CompressionRun:
    """What every step of shrinking works with."""

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
    """Chooses how much of each layer to prune; `prune` if not given."""
    method: CompressionMethod = field(default_factory=CompressionMethod)
    """What is done where there is a choice."""

    def with_budget(self, budget: Budget, attempt: int) -> "CompressionRun":
        """The same bench for another attempt with another budget; stages are recorded in the same list."""
        return replace(self, budget=budget, attempt=attempt)

    def train(self, stage: str, network: nn.Module, recipe: Recipe, teacher: nn.Module) -> None:
        """Train `network` against `teacher`, resumable under the name of the stage. Weights that are zero stay zero.

        How far a network is pruned for a latency depends on what was measured; of other widths nothing is taken up.
        """
        name = f"{stage} {self.attempt + 1}" if self.attempt else stage
        with zeros_kept(network) if self.method.sparsity else nullcontext():
            structure = structure_of(network)
            self.workspace.train(name, network, self.sets.train, self.sets.val, recipe, teacher, structure=structure)

    def loses_too_much(self, now: Accuracy) -> bool:
        """Whether a validation accuracy is clearly more than the method accepts below that of the last stage."""
        return bool(self.stages) and loss(self.stages[-1].validation, now).exceeds(self.method.max_loss)

    def record(
        self, name: str, network: GraphNetwork, *, settings: dict[str, object], seconds: float, note: str = ""
    ) -> None:
        """Evaluate `network` after the stage `name` on val and test; add it to the stages and to the network's lineage."""
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
    """The network to deploy, the float network that it stands for, and whether pruning could reach the budget."""

    network: GraphNetwork
    float_network: GraphNetwork
    within_reach: bool


Compressor = Callable[[GraphNetwork, CompressionRun], CompressedNetwork]
"""Brings a trained float network within the budget of a run."""


def recover(name: str, network: GraphNetwork, teacher: nn.Module, run: CompressionRun, how: dict[str, object]) -> None:
    """Fine-tune a network against the one that it was made from and record the stage; `how` tells how it was made.

    Where more than the method accepts was lost since the last stage, it is fine-tuned on for longer. A network that guesses
    worse on val afterwards is left as it was: layers that were fitted anew may answer better than their
    teacher, if that is trained too little.
    """
    began = time.monotonic()
    before, start = accuracy(network, run.sets.val).top1, deepcopy(network.state_dict())
    recipe = run.trainings.recovery()
    run.train(name, network, recipe, teacher)
    note = f"{before:.1%} before fine-tuning against the unpruned network"
    found = accuracy(network, run.sets.val)
    if run.loses_too_much(found):
        recipe = longer(recipe)
        run.train(f"{name}, longer", network, recipe, teacher)
        found = accuracy(network, run.sets.val)
        note += ", longer than usual because of what it had lost"
    after = found.top1
    if after < before:
        network.load_state_dict(start)
        note += f", which made it worse ({after:.1%}) and was undone"
    settings = {**how, "recipe": recipe.model_dump(mode="json")}
    run.record(name, network, settings=settings, seconds=time.monotonic() - began, note=note)


def longer(recipe: Recipe) -> Recipe:
    """The recipe for a network that lost too much by it, to be trained on."""
    return recipe.with_(epochs=LONGER * recipe.epochs)


def accuracy(network: GraphNetwork, split: ImageDataset) -> Accuracy:
    """Top-1 accuracy with its interval, as a record."""
    found = evaluate(network, split)
    return Accuracy(top1=found.top1, low=found.top1_interval[0], high=found.top1_interval[1], images=found.count)
