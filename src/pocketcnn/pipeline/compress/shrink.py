"""From a trained network to one that keeps the budget: prune, recover against the parent, quantize, recover again.

Each step is taken only when the budget needs it: float before int8, whole before pruned. What a `Method` asks for beside that
(other images, fewer blocks, smaller kernels) was done before, see `restructure`; zeros among the weights come last.
"""

import time
from functools import partial

from torch import Tensor

from pocketcnn.compression.coding.sparsity import Sparsity, sparsify, zero_share
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.pruning.prune import Fits
from pocketcnn.compression.quantization import LearnedSteps, QuantizeSettings, quantize
from pocketcnn.cost import count
from pocketcnn.data import ImageDataset
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.accuracy_check import loss
from pocketcnn.pipeline.compress.clustering import cluster_and_recover
from pocketcnn.pipeline.compress.pruning import (
    CRITERION_IMAGES,
    plan_pruning,
    pruning_config_of,
    reconstruct_and_recalibrate,
    resolve,
)
from pocketcnn.pipeline.compression_method import CRITERION as CRITERION
from pocketcnn.pipeline.compression_run import CompressedNetwork, CompressionRun, accuracy, longer, recover
from pocketcnn.training import predict_logits, recalibrate

TWO_STAGES_BELOW = 0.5
"""Pruning to less than this share of the multiply-adds is done in two stages, with recovery between them."""

AGREEMENT = 0.995
"""Share of the validation images on which an integer network must answer like the float one to need no fine-tuning."""


def shrink(parent: GraphNetwork, run: CompressionRun) -> CompressedNetwork:
    """Bring `parent`, a trained float network, within the budget."""
    evaluator = BudgetEvaluator(run.budget, weights=run.method.weights)
    precision = evaluator.precision(parent.graph)
    network, within_reach = parent, True
    if precision is None:
        cutter = run.pruner or prune
        network, within_reach = cutter(parent, run, evaluator.fits)
        precision = evaluator.precision(network.graph) or evaluator.precisions[-1]
    if run.method.zeros is not None:
        network = sparsify_and_recover(network, run.method.zeros, run)
    if run.method.cluster_bits is not None:
        network = cluster_and_recover(network, run.method.cluster_bits, run)
    deployed = network if precision == "float32" else quantize_and_recover(network, run)
    return CompressedNetwork(deployed, network, within_reach)


def prune(parent: GraphNetwork, run: CompressionRun, fits: Fits) -> tuple[GraphNetwork, bool]:
    """Prune `parent` until it fits and fine-tune it against the unpruned parent; whether it could be made to fit.

    In several stages each leaves the same share of the multiply-adds of the stage before it.
    """
    narrowing = resolve(pruning_config_of(run), parent, fits, run)
    how = {**narrowing.record(), "reconstruct": narrowing.reconstruct, "stages": run.method.stages}
    whole, source = count(parent.graph).madds, parent
    cut = plan_pruning(parent, fits, narrowing)
    kept = count(cut.graph).madds / whole
    stages = run.method.stages or (1 if kept >= TWO_STAGES_BELOW else 2)
    for stage in range(1, stages):
        part = plan_pruning(source, partial(_is_within, whole * kept ** (stage / stages)), narrowing)
        source = reconstruct_and_recalibrate(source, part, narrowing)
        recover(stage_name(stage, stages), source, parent, run, how)
    if stages > 1:
        cut = plan_pruning(source, fits, narrowing)
    network = reconstruct_and_recalibrate(source, cut, narrowing)
    recover(stage_name(stages, stages), network, parent, run, how)
    return network, cut.plan is not None


def _is_within(madds: float, graph: Graph) -> bool:
    return count(graph).madds <= madds


def stage_name(stage: int, stages: int) -> str:
    """What the result of a stage of pruning, counted from 1, is called."""
    if stage == stages:
        return "pruned"
    return "pruned halfway" if 2 * stage == stages else f"pruned, stage {stage} of {stages}"


def sparsify_and_recover(network: GraphNetwork, sparsity: Sparsity, run: CompressionRun) -> GraphNetwork:
    """`network` with zeros among its weights, fine-tuned against what it was."""
    sparse = sparsify(network, sparsity)
    recalibrate(sparse, run.sets.calibration(CRITERION_IMAGES))
    recover("sparse", sparse, network, run, {"sparsity": str(sparsity), "zeros": zero_share(sparse.graph)})
    return sparse


def quantize_and_recover(network: GraphNetwork, run: CompressionRun) -> GraphNetwork:
    """Quantize `network`, and fine-tune with simulated integers where the integers changed its answers.

    For longer, where more is lost than the method accepts.
    """
    began = time.monotonic()
    images = run.sets.calibration()
    quantized = quantize(network, images)
    settings: dict[str, object] = {**QuantizeSettings().model_dump(mode="json"), "calibration_images": len(images)}
    before = run.stages[-1].validation if run.stages else None
    run.record("quantized", quantized, settings=settings, seconds=time.monotonic() - began)
    exact = predict_logits(network, run.sets.val).argmax(1)
    first = agreement_with(quantized, exact, run.sets.val)
    if first[0] >= fraction(exact == run.sets.val.labels) and first[1] >= AGREEMENT:
        return quantized
    began = time.monotonic()
    recipe = run.trainings.quantized()
    learner = LearnedSteps(quantized)
    run.train("quantized, fine-tuned", learner, recipe, network)
    tuned = learner.reparameterize()
    if before is not None and loss(before, accuracy(tuned, run.sets.val)).exceeds(run.method.max_loss):
        recipe = longer(recipe)
        run.train("quantized, fine-tuned longer", learner, recipe, network)
        tuned = learner.reparameterize()
    if agreement_with(tuned, exact, run.sets.val) <= first:
        run.say("Fine-tuning with simulated integers brought nothing; the first quantization is kept")
        return quantized
    run.record(
        "quantized, fine-tuned",
        tuned,
        settings={**settings, "recipe": recipe.model_dump(mode="json")},
        seconds=time.monotonic() - began,
        note="integers simulated in training and their steps learned, the float network as teacher",
    )
    return tuned


def agreement_with(network: GraphNetwork, reference: Tensor, val: ImageDataset) -> tuple[float, float]:
    """How good a quantized network is on val: its accuracy, and between equals how often it answers like `reference` (N,)."""
    answers = predict_logits(network, val).argmax(1)
    return fraction(answers == val.labels), fraction(answers == reference)


def fraction(hits: Tensor) -> float:
    """The share of True in `hits` (N,)."""
    return int(hits.sum()) / len(hits)
