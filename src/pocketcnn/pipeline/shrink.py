"""From a trained network to one that keeps the budget: prune, recover against the parent, quantize, recover again.

Each step is taken only when the budget needs it: float before int8, whole before pruned. What a `Method` asks for beside that
(other images, fewer blocks, smaller kernels) was done before, see `restructure`; zeros among the weights come last.
"""

import time
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.prune import Fits
from pocketcnn.compression.quantization import LearnedSteps, QuantizeSettings, quantize
from pocketcnn.compression.sparsity import Sparsity, sparsify, zero_share
from pocketcnn.cost import count
from pocketcnn.data import ImageDataset
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.accuracy_check import loss
from pocketcnn.pipeline.compression_run import Bench, accuracy, longer, recover
from pocketcnn.pipeline.method import CRITERION as CRITERION
from pocketcnn.pipeline.narrowing import EVIDENCE, choose, mend, narrowing_of, settled
from pocketcnn.pipeline.store import make_shared
from pocketcnn.training import predict_logits, recalibrate

FAR = 0.5
"""Pruning to less than this share of the multiply-adds is done in two stages, with recovery between them."""

AGREEMENT = 0.995
"""Share of the validation images on which an integer network must answer like the float one to need no fine-tuning."""


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


def make_sparse(network: GraphNetwork, sparsity: Sparsity, bench: Bench) -> GraphNetwork:
    """`network` with zeros among its weights, fine-tuned against what it was."""
    sparse = sparsify(network, sparsity)
    recalibrate(sparse, bench.sets.calibration(EVIDENCE))
    recover("sparse", sparse, network, bench, {"sparsity": str(sparsity), "zeros": zero_share(sparse.graph)})
    return sparse


def quantize_and_recover(network: GraphNetwork, bench: Bench) -> GraphNetwork:
    """Quantize `network`, and fine-tune with simulated integers where the integers changed its answers.

    For longer, where more is lost than the method accepts.
    """
    began = time.monotonic()
    images = bench.sets.calibration()
    quantized = quantize(network, images)
    settings: dict[str, object] = {**QuantizeSettings().model_dump(mode="json"), "calibration_images": len(images)}
    before = bench.stages[-1].validation if bench.stages else None
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
    if before is not None and loss(before, accuracy(tuned, bench.sets.val)).exceeds(bench.method.max_loss):
        recipe = longer(recipe)
        bench.train("quantized, fine-tuned longer", learner, recipe, network)
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
