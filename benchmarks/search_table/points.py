"""Every network of the small space trained once for each number of epochs: the table that the searches look accuracies up in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from benchmarks.search_table.material import Images, name_of, small_space, task
from benchmarks.search_table.setting import TIGHT, Setting
from pocketcnn.cost import count
from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import Graph, capture, for_inference
from pocketcnn.nas.space import Point
from pocketcnn.nas.trial import Evaluation, Proposal
from pocketcnn.pipeline.search.point_evaluator import shortened
from pocketcnn.targets import load_target
from pocketcnn.targets.latency import load_predictor
from pocketcnn.training import Recipe, drawn_from, evaluate, train

TARGET = "onnxruntime-cpu"
Row = Mapping[str, Any]


def network_of(point: Point, setting: Setting, seed: int = 0) -> nn.Module:
    """The network of a point with fresh weights."""
    with drawn_from(seed):
        return small_space().build(point, task(setting))


def recipe_of(setting: Setting, epochs: int, seed: int = 0) -> Recipe:
    """The recipe of a training."""
    return setting.recipe.with_(epochs=epochs, warmup_epochs=min(1.0, epochs / 10), seed=seed)


def graph_of(point: Point, setting: Setting) -> Graph:
    """The network as a graph."""
    return capture(network_of(point, setting), (1, 1, setting.side, setting.side))


def trained_row(point: Point, data: Images, setting: Setting) -> dict[str, Any]:
    """What is known of a point: validation accuracies by epochs, test accuracy after all, and what it costs."""
    graph = graph_of(point, setting)
    cost = count(graph)
    row: dict[str, Any] = {"point": name_of(point), "madds": cost.madds, "params": cost.params}
    row["seconds"] = predicted_seconds(graph)
    for share in (1.0, 1 / 3, 1 / 9):
        recipe = shortened(recipe_of(setting, setting.epochs), share)
        if f"val{recipe.epochs}" not in row:
            network = network_of(point, setting)
            row[f"val{recipe.epochs}"] = train(network, data.train, data.val, recipe).val_accuracy
            if share == 1:
                row["test"] = evaluate(network, data.test).top1
    return row


def predicted_seconds(graph: Graph) -> float | None:
    """The latency by the target's table; None where it has none."""
    try:
        return load_predictor(load_target(TARGET)).seconds(for_inference(graph))
    except PocketcnnError:
        return None


@dataclass(frozen=True)
class Table:
    """The table of one set of images. The budget is such that a share `TIGHT` of the networks keeps it."""

    rows: Mapping[str, Row]
    setting: Setting

    @property
    def cost(self) -> str:
        """What is limited: the latency if every network has one, else multiply-adds."""
        return "seconds" if all(row["seconds"] is not None for row in self.rows.values()) else "madds"

    @property
    def bound(self) -> float:
        """The limit."""
        costs = sorted(row[self.cost] for row in self.rows.values())
        return float(costs[int(TIGHT * (len(costs) - 1))])

    def use(self, point: Point) -> float:
        """The share of the budget that a point uses."""
        return float(self.rows[name_of(point)][self.cost]) / self.bound

    def evaluate(self, proposal: Proposal, _number: int) -> Evaluation:
        """What training the point found out."""
        epochs = shortened(recipe_of(self.setting, self.setting.epochs), proposal.training).epochs
        return Evaluation(float(self.rows[name_of(proposal.point)][f"val{epochs}"]), self.use(proposal.point))

    @property
    def best(self) -> float:
        """The highest validation accuracy of any network that keeps the budget."""
        full = f"val{self.setting.epochs}"
        return max(float(row[full]) for row in self.rows.values() if row[self.cost] <= self.bound)
