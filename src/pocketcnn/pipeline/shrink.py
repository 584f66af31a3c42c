"""From a trained network to one that keeps the budget: prune, recover against the parent, quantize, recover again.

Each step is taken only when the budget needs it: float before int8, whole before pruned.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from pocketcnn.compression.prune import Fits, PruneSettings, plan
from pocketcnn.compression.quantization import quantize
from pocketcnn.cost import count
from pocketcnn.data import ImageDataset
from pocketcnn.errors import BudgetNotMet
from pocketcnn.graph import Graph, GraphNetwork, Stage
from pocketcnn.pipeline.figures import FORMS, Judge
from pocketcnn.pipeline.recipes import Sets, Trainings
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.report.result import Accuracy, StageRecord
from pocketcnn.targets import Budget, load_target
from pocketcnn.training import Recipe, evaluate, predict_logits, recalibrate

FAR = 0.5
"""Pruning to less than this share of the multiply-adds is done in two stages, with recovery between them."""

AGREEMENT = 0.995
"""Share of the validation images on which an integer network must answer like the float one to need no fine-tuning."""

CRITERION = "energy"
"""What a channel is worth; it looks at images, but not at their labels."""

EVIDENCE = 1024
"""Training images that it looks at; they give the batch norms their statistics, too."""

DEFAULT_MULTIPLE = 8
"""Channel counts are rounded to this where the budget names no target that says what it likes."""


Pruner = Callable[[GraphNetwork, "Bench", Fits], tuple[GraphNetwork, bool]]
"""Prunes a network until it fits and recovers it against the unpruned one; whether it could be made to fit."""


@dataclass(frozen=True)
class Bench:
    """What every step of shrinking works with."""

    sets: Sets
    budget: Budget
    trainings: Trainings
    workspace: Workspace
    say: Callable[[str], None]
    data: str
    """Fingerprint of the images."""
    stages: list[StageRecord] = field(default_factory=list)
    attempt: int = 0
    pruner: Pruner | None = None
    """Chooses how much of each layer to prune; `prune` if not given."""

    def with_budget(self, budget: Budget, attempt: int) -> "Bench":
        """The same bench for another attempt with another budget; stages are recorded in the same list."""
        return replace(self, budget=budget, attempt=attempt)

    def train(self, stage: str, network: GraphNetwork, recipe: Recipe, teacher: GraphNetwork) -> None:
        """Train `network` against `teacher`, resumable under the name of the stage."""
        name = f"{stage} {self.attempt + 1}" if self.attempt else stage
        self.workspace.train(name, network, self.sets.train, self.sets.val, recipe, teacher)

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
class Shrunk:
    """The network to deploy, the float network that it stands for, and whether pruning could reach the budget."""

    network: GraphNetwork
    float_network: GraphNetwork
    within_reach: bool


def shrink(parent: GraphNetwork, bench: Bench) -> Shrunk:
    """Bring `parent`, a trained float network, within the budget."""
    forms, judge = allowed_forms(bench.budget), Judge(bench.budget)
    form = judge.form(parent.graph, forms)
    network, within_reach = parent, True
    if form is None:
        cutter = bench.pruner or prune
        network, within_reach = cutter(parent, bench, lambda graph: judge.form(graph, forms) is not None)
        form = judge.form(network.graph, forms) or forms[-1]
    deployed = network if form == "float32" else quantize_and_recover(network, bench)
    return Shrunk(deployed, network, within_reach)


def allowed_forms(budget: Budget) -> tuple[str, ...]:
    """The numerics that every target of the budget can run."""
    able = [load_target(name).numerics for name in budget.targets]
    return tuple(form for form in FORMS if all(form in numerics for numerics in able)) or FORMS[:1]


def prune(parent: GraphNetwork, bench: Bench, fits: Fits) -> tuple[GraphNetwork, bool]:
    """Prune `parent` until it fits and fine-tune it against the unpruned parent; whether it could be made to fit."""
    multiple = max([load_target(name).channel_multiple for name in bench.budget.targets], default=DEFAULT_MULTIPLE)
    settings = PruneSettings(criterion=CRITERION, multiple=multiple)
    images = bench.sets.calibration(EVIDENCE)
    whole = count(parent.graph).madds
    network, within_reach = cut(parent, fits, settings, images)
    kept = count(network.graph).madds / whole
    if kept < FAR:
        half = whole * math.sqrt(kept)
        halfway, _ = cut(parent, lambda graph: count(graph).madds <= half, settings, images)
        recover("pruned halfway", halfway, parent, bench, plain(settings))
        network, within_reach = cut(halfway, fits, settings, images)
    recover("pruned", network, parent, bench, plain(settings))
    return network, within_reach


def cut(network: GraphNetwork, fits: Fits, settings: PruneSettings, images: Tensor) -> tuple[GraphNetwork, bool]:
    """`network` without its least important channels, so that it fits; or as narrow as it gets, where nothing does.

    `images` (N, C, H, W) show what the channels are worth, and give the batch norms their statistics again.
    """
    tried: list[Graph] = []

    def watched(graph: Graph) -> bool:
        tried.append(graph)
        return fits(graph)

    unlabelled = [(batch, torch.zeros(len(batch), dtype=torch.long)) for batch in torch.split(images, 64)]
    try:
        graph, fitting = plan(network.graph, watched, settings, batches=unlabelled).apply(network.graph), True
    except BudgetNotMet:
        graph, fitting = tried[0], False  # the search begins with the narrowest network
    narrower = GraphNetwork(graph, network.info)
    recalibrate(narrower, images)
    return narrower, fitting


def plain(settings: PruneSettings) -> dict[str, object]:
    """The settings as the record of a stage takes them."""
    return {**asdict(settings), "keep": list(settings.keep)}


def recover(name: str, network: GraphNetwork, parent: GraphNetwork, bench: Bench, how: dict[str, object]) -> None:
    """Fine-tune a pruned network against the unpruned one and record the stage; `how` tells how it was pruned."""
    began = time.monotonic()
    before = accuracy(network, bench.sets.val).top1
    recipe = bench.trainings.recovery()
    bench.train(name, network, recipe, parent)
    note = f"{before:.1%} before fine-tuning against the unpruned network"
    settings = {**how, "recipe": recipe.model_dump()}
    bench.record(name, network, settings=settings, seconds=time.monotonic() - began, note=note)


def quantize_and_recover(network: GraphNetwork, bench: Bench) -> GraphNetwork:
    """Quantize `network`, and fine-tune with simulated integers where the integers changed its answers."""
    began = time.monotonic()
    images = bench.sets.calibration()
    quantized = quantize(network, images)
    settings: dict[str, object] = {"method": "mse", "bits": 8, "calibration_images": len(images)}
    bench.record("quantized", quantized, settings=settings, seconds=time.monotonic() - began)
    exact = predict_logits(network, bench.sets.val).argmax(1)
    first = closeness(quantized, exact, bench.sets.val)
    if first[0] >= share(exact == bench.sets.val.labels) and first[1] >= AGREEMENT:
        return quantized
    began = time.monotonic()
    recipe = bench.trainings.quantized()
    tuned = GraphNetwork(quantized.graph, quantized.info)
    bench.train("quantized, fine-tuned", tuned, recipe, network)
    if closeness(tuned, exact, bench.sets.val) <= first:
        bench.say("Fine-tuning with simulated integers brought nothing; the first quantization is kept")
        return quantized
    bench.record(
        "quantized, fine-tuned",
        tuned,
        settings={**settings, "recipe": recipe.model_dump()},
        seconds=time.monotonic() - began,
        note="integers simulated in training, the float network as teacher",
    )
    return tuned


def closeness(network: GraphNetwork, reference: Tensor, val: ImageDataset) -> tuple[float, float]:
    """How good a quantized network is on val: its accuracy, and between equals how often it answers like `reference` (N,)."""
    answers = predict_logits(network, val).argmax(1)
    return share(answers == val.labels), share(answers == reference)


def share(hits: Tensor) -> float:
    """The share of True in `hits` (N,)."""
    return int(hits.sum()) / len(hits)


def accuracy(network: GraphNetwork, split: ImageDataset) -> Accuracy:
    """Top-1 accuracy with its interval, as a record."""
    found = evaluate(network, split)
    return Accuracy(top1=found.top1, low=found.top1_interval[0], high=found.top1_interval[1], images=found.count)
