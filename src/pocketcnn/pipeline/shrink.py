"""From a trained network to one that keeps the budget: prune, recover against the parent, quantize, recover again.

Each step is taken only when the budget needs it: float before int8, whole before pruned. What a `Method` asks for beside that
(other images, fewer blocks, smaller kernels) was done before, see `restructure`; zeros among the weights come last.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial

from torch import Tensor, nn

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.prune import Fits
from pocketcnn.compression.quantization import LearnedSteps, QuantizeSettings, quantize
from pocketcnn.compression.sparsity import Sparsity, sparsify, zero_share, zeros_kept
from pocketcnn.cost import count
from pocketcnn.data import ImageDataset
from pocketcnn.graph import Graph, GraphNetwork, Stage
from pocketcnn.pipeline.method import CRITERION as CRITERION
from pocketcnn.pipeline.method import Method
from pocketcnn.pipeline.narrowing import EVIDENCE, choose, mend, narrowing_of, settled
from pocketcnn.pipeline.recipes import Sets, Trainings
from pocketcnn.pipeline.store import make_shared
from pocketcnn.pipeline.workspace import Workspace, form_of
from pocketcnn.report.result import Accuracy, StageRecord
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, evaluate, predict_logits, recalibrate

FAR = 0.5
"""Pruning to less than this share of the multiply-adds is done in two stages, with recovery between them."""

AGREEMENT = 0.995
"""Share of the validation images on which an integer network must answer like the float one to need no fine-tuning."""

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
    method: Method = field(default_factory=Method)
    """What is done where there is a choice."""

    def with_budget(self, budget: Budget, attempt: int) -> "Bench":
        """The same bench for another attempt with another budget; stages are recorded in the same list."""
        return replace(self, budget=budget, attempt=attempt)

    def train(self, stage: str, network: nn.Module, recipe: Recipe, teacher: nn.Module) -> None:
        """Train `network` against `teacher`, resumable under the name of the stage. Weights that are zero stay zero.

        How far a network is pruned for a latency depends on what was measured; of other widths nothing is taken up.
        """
        name = f"{stage} {self.attempt + 1}" if self.attempt else stage
        with zeros_kept(network) if self.method.sparsity else nullcontext():
            form = form_of(network)
            self.workspace.train(name, network, self.sets.train, self.sets.val, recipe, teacher, form=form)

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
    evaluator = BudgetEvaluator(bench.budget, weights=bench.method.weights)
    form = evaluator.form(parent.graph)
    network, within_reach = parent, True
    if form is None:
        cutter = bench.pruner or prune
        network, within_reach = cutter(parent, bench, evaluator.fits)
        form = evaluator.form(network.graph) or evaluator.forms[-1]
    if bench.method.zeros is not None:
        network = make_sparse(network, bench.method.zeros, bench)
    if bench.method.share is not None:
        network = make_shared(network, bench.method.share, bench)
    deployed = network if form == "float32" else quantize_and_recover(network, bench)
    return Shrunk(deployed, network, within_reach)


def prune(parent: GraphNetwork, bench: Bench, fits: Fits) -> tuple[GraphNetwork, bool]:
    """Prune `parent` until it fits and fine-tune it against the unpruned parent; whether it could be made to fit.

    In several stages each leaves the same share of the multiply-adds of the stage before it.
    """
    narrowing = settled(narrowing_of(bench), parent, fits, bench)
    how = {**narrowing.record(), "reconstruct": narrowing.reconstruct, "stages": bench.method.stages}
    whole, source = count(parent.graph).madds, parent
    cut = choose(parent, fits, narrowing)
    kept = count(cut.graph).madds / whole
    stages = bench.method.stages or (1 if kept >= FAR else 2)
    for stage in range(1, stages):
        part = choose(source, partial(_is_within, whole * kept ** (stage / stages)), narrowing)
        source = mend(source, part, narrowing)
        recover(stage_name(stage, stages), source, parent, bench, how)
    if stages > 1:
        cut = choose(source, fits, narrowing)
    network = mend(source, cut, narrowing)
    recover(stage_name(stages, stages), network, parent, bench, how)
    return network, cut.plan is not None


def _is_within(madds: float, graph: Graph) -> bool:
    return count(graph).madds <= madds


def stage_name(stage: int, stages: int) -> str:
    """What the result of a stage of pruning, counted from 1, is called."""
    if stage == stages:
        return "pruned"
    return "pruned halfway" if 2 * stage == stages else f"pruned, stage {stage} of {stages}"


def recover(name: str, network: GraphNetwork, teacher: nn.Module, bench: Bench, how: dict[str, object]) -> None:
    """Fine-tune a network against the one that it was made from and record the stage; `how` tells how it was made.

    A network that guesses worse on val afterwards is left as it was: layers that were fitted anew may answer better than their
    teacher, if that is trained too little.
    """
    began = time.monotonic()
    before, start = accuracy(network, bench.sets.val).top1, deepcopy(network.state_dict())
    recipe = bench.trainings.recovery()
    bench.train(name, network, recipe, teacher)
    note = f"{before:.1%} before fine-tuning against the unpruned network"
    after = accuracy(network, bench.sets.val).top1
    if after < before:
        network.load_state_dict(start)
        note += f", which made it worse ({after:.1%}) and was undone"
    settings = {**how, "recipe": recipe.model_dump(mode="json")}
    bench.record(name, network, settings=settings, seconds=time.monotonic() - began, note=note)


def make_sparse(network: GraphNetwork, sparsity: Sparsity, bench: Bench) -> GraphNetwork:
    """`network` with zeros among its weights, fine-tuned against what it was."""
    sparse = sparsify(network, sparsity)
    recalibrate(sparse, bench.sets.calibration(EVIDENCE))
    recover("sparse", sparse, network, bench, {"sparsity": str(sparsity), "zeros": zero_share(sparse.graph)})
    return sparse


def quantize_and_recover(network: GraphNetwork, bench: Bench) -> GraphNetwork:
    """Quantize `network`, and fine-tune with simulated integers where the integers changed its answers."""
    began = time.monotonic()
    images = bench.sets.calibration()
    quantized = quantize(network, images)
    settings: dict[str, object] = {**QuantizeSettings().model_dump(mode="json"), "calibration_images": len(images)}
    bench.record("quantized", quantized, settings=settings, seconds=time.monotonic() - began)
    exact = predict_logits(network, bench.sets.val).argmax(1)
    first = closeness(quantized, exact, bench.sets.val)
    if first[0] >= share(exact == bench.sets.val.labels) and first[1] >= AGREEMENT:
        return quantized
    began = time.monotonic()
    recipe = bench.trainings.quantized()
    learner = LearnedSteps(quantized)
    bench.train("quantized, fine-tuned", learner, recipe, network)
    tuned = learner.inference_form()
    if closeness(tuned, exact, bench.sets.val) <= first:
        bench.say("Fine-tuning with simulated integers brought nothing; the first quantization is kept")
        return quantized
    bench.record(
        "quantized, fine-tuned",
        tuned,
        settings={**settings, "recipe": recipe.model_dump(mode="json")},
        seconds=time.monotonic() - began,
        note="integers simulated in training and their steps learned, the float network as teacher",
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
