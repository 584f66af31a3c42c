"""The evaluation of a point of a search space: build the network, compute its cost, train it briefly, validate it."""

import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import nn

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.data import DataFolder, ImageFolder, infer_contract, scan
from pocketcnn.graph import Graph, capture
from pocketcnn.layers import reparameterize
from pocketcnn.nas.space import Point, Space, Task
from pocketcnn.nas.trial import Evaluation, Proposal
from pocketcnn.pipeline.recipes import Splits, datasets
from pocketcnn.training import Recipe, drawn_from, threads_for, train
from pocketcnn.training.checkpoint import checkpoints


def task_of(folder: ImageFolder) -> Task:
    """The task of networks for the images of a folder: classes, channels, height and width."""
    contract = infer_contract(folder)
    return Task(len(folder.classes), contract.channels, contract.height, contract.width)


@dataclass
class PointEvaluator:
    """Evaluates points. Only its settings are sent to worker processes, which read the images themselves.

    Attributes:
        data: the folder of images.
        seed: of the split, the weights and the trainings; the same for all points.
        space: the search space.
        budget: computes the share of the budget that a network uses.
        recipe: of the proxy training.
        work: folder for the checkpoints of running trials, from which an interrupted trial is resumed.
    """

    data: DataFolder
    seed: int
    space: Space
    budget: BudgetEvaluator
    recipe: Recipe
    work: Path

    @cached_property
    def folder(self) -> ImageFolder:
        """The images."""
        return scan(self.data, seed=self.seed)

    @cached_property
    def task(self) -> Task:
        """The task of the networks."""
        return task_of(self.folder)

    def graph(self, point: Point) -> Graph:
        """The captured network of a point with random weights, for counting its cost."""
        return capture(reparameterize(self.network(point)), (1, self.task.channels, *self._size(point)))

    def network(self, point: Point) -> nn.Module:
        """The network of a point with random weights."""
        with drawn_from(self.seed):
            return self.space.build(point, self.task)

    def sets(self, point: Point) -> Splits:
        """The images in the input size of a point's network."""
        return self._sets_at(self._size(point))

    def __call__(self, proposal: Proposal, number: int) -> Evaluation:
        began = time.monotonic()
        use = self.budget.use(self.graph(proposal.point))
        network, sets = self.network(proposal.point), self.sets(proposal.point)
        out = self.work / f"trial {number}"
        with threads_for(*self.task.size):
            result = train(
                network,
                sets.train,
                sets.val,
                shortened(self.recipe, proposal.training),
                out=out,
                resume=bool(checkpoints(out / "checkpoints")),
            )
        shutil.rmtree(out, ignore_errors=True)
        return Evaluation(result.val_accuracy, use.share, use.figures, time.monotonic() - began)

    def _size(self, point: Point) -> tuple[int, int]:
        return self.space.input_size(point, self.task)

    def _sets_at(self, size: tuple[int, int]) -> Splits:
        if size not in self._made:
            contract = infer_contract(self.folder).model_copy(update={"height": size[0], "width": size[1]})
            self._made[size] = datasets(self.folder, contract, self.recipe.augmentation)
        return self._made[size]

    @cached_property
    def _made(self) -> dict[tuple[int, int], Splits]:
        return {}

    def __getstate__(self) -> dict[str, object]:
        """The settings only, without cached images."""
        return {name: getattr(self, name) for name in ("data", "seed", "space", "budget", "recipe", "work")}

    def on(self, space: Space) -> "PointEvaluator":
        """The same evaluator for the points of another space."""
        return replace(self, space=space)


def shortened(recipe: Recipe, share: float) -> Recipe:
    """`recipe` with a share of its epochs, at least one. The schedule is complete, so that annealed networks are compared."""
    epochs = max(1, round(share * recipe.epochs))
    return recipe.with_(epochs=epochs, warmup_epochs=min(recipe.warmup_epochs, epochs / 10))
