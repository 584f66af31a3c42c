"""Compresses a trained network to a budget: prune, fine-tune with the parent as teacher, quantize, fine-tune again.

Pruning and quantization are applied only if the budget needs them. Sparsity and clustering of weights come between them.
Other images, fewer blocks and smaller kernels come before, see `restructure`.
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
"""Pruning to less than this share of the multiply-adds takes two stages, with fine-tuning between them."""

AGREEMENT = 0.995
"""Share of validation images with the same prediction in int8 and in float, from which no fine-tuning is needed."""


def shrink(parent: GraphNetwork, run: CompressionRun) -> CompressedNetwork:
    """Compress `parent`, a trained float network, to the budget of `run`."""
    evaluator = BudgetEvaluator(run.budget, weights=run.method.weights)
    precision = evaluator.precision(parent.graph)
    network, within_reach = parent, True
    if precision is None:
        pruner = run.pruner or prune
        network, within_reach = pruner(parent, run, evaluator.fits)
        precision = evaluator.precision(network.graph) or evaluator.precisions[-1]
    if run.method.zeros is not None:
        network = sparsify_and_recover(network, run.method.zeros, run)
    if run.method.cluster_bits is not None:
        network = cluster_and_recover(network, run.method.cluster_bits, run)
    deployed = network if precision == "float32" else quantize_and_recover(network, run)
    return CompressedNetwork(deployed, network, within_reach)


def prune(parent: GraphNetwork, run: CompressionRun, fits: Fits) -> tuple[GraphNetwork, bool]:
    """Prune `parent` until it fits, and fine-tune with the unpruned parent as teacher: (network, whether it fits).

    With several stages, each keeps the same share of the multiply-adds of the stage before it.
    """
    config = resolve(pruning_config_of(run), parent, fits, run)
    settings = {**config.record(), "reconstruct": config.reconstruct, "stages": run.method.stages}
    parent_madds, source = count(parent.graph).madds, parent
    pruned = plan_pruning(parent, fits, config)
    kept = count(pruned.graph).madds / parent_madds
    stages = run.method.stages or (1 if kept >= TWO_STAGES_BELOW else 2)
    for stage in range(1, stages):
        part = plan_pruning(source, partial(_is_within, parent_madds * kept ** (stage / stages)), config)
        source = reconstruct_and_recalibrate(source, part, config)
        recover(stage_name(stage, stages), source, parent, run, settings)
    if stages > 1:
        pruned = plan_pruning(source, fits, config)
    network = reconstruct_and_recalibrate(source, pruned, config)
    recover(stage_name(stages, stages), network, parent, run, settings)
    return network, pruned.plan is not None


def _is_within(madds: float, graph: Graph) -> bool:
    return count(graph).madds <= madds


def stage_name(stage: int, stages: int) -> str:
    """The name of pruning stage `stage` of `stages`, counted from 1."""
    if stage == stages:
        return "pruned"
    return "pruned halfway" if 2 * stage == stages else f"pruned, stage {stage} of {stages}"


def sparsify_and_recover(network: GraphNetwork, sparsity: Sparsity, run: CompressionRun) -> GraphNetwork:
    """Set single weights of `network` to zero, and fine-tune the others with `network` as teacher."""
    sparse = sparsify(network, sparsity)
    recalibrate(sparse, run.sets.calibration(CRITERION_IMAGES))
    recover("sparse", sparse, network, run, {"sparsity": str(sparsity), "zeros": zero_share(sparse.graph)})
    return sparse


def quantize_and_recover(network: GraphNetwork, run: CompressionRun) -> GraphNetwork:
    """Quantize `network`; if its predictions change, fine-tune it by quantization-aware training with learned step sizes.

    If the loss exceeds `max_loss`, the fine-tuning is longer. The better of both networks is returned.
    """
    began = time.monotonic()
    images = run.sets.calibration()
    quantized = quantize(network, images)
    settings: dict[str, object] = {**QuantizeSettings().model_dump(mode="json"), "calibration_images": len(images)}
    before = run.stages[-1].validation if run.stages else None
    run.record("quantized", quantized, settings=settings, seconds=time.monotonic() - began)
    float_predictions = predict_logits(network, run.sets.val).argmax(1)
    first = agreement_with(quantized, float_predictions, run.sets.val)
    if first[0] >= fraction(float_predictions == run.sets.val.labels) and first[1] >= AGREEMENT:
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
    if agreement_with(tuned, float_predictions, run.sets.val) <= first:
        run.say("Quantization-aware fine-tuning gave no improvement; the network before it is kept")
        return quantized
    run.record(
        "quantized, fine-tuned",
        tuned,
        settings={**settings, "recipe": recipe.model_dump(mode="json")},
        seconds=time.monotonic() - began,
        note="quantization-aware fine-tuning with learned step sizes, the float network as teacher",
    )
    return tuned


def agreement_with(network: GraphNetwork, reference: Tensor, val: ImageDataset) -> tuple[float, float]:
    """Quality of a quantized network on val, for comparison: (accuracy, share of predictions equal to `reference` (N,))."""
    predictions = predict_logits(network, val).argmax(1)
    return fraction(predictions == val.labels), fraction(predictions == reference)


def fraction(hits: Tensor) -> float:
    """The share of True in `hits` (N,)."""
    return int(hits.sum()) / len(hits)
