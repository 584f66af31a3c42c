"""Clustering of weights (Deep Compression) as a compression stage: fewer distinct values make the coded model file smaller."""

import time

from torch import nn

from pocketcnn.compression.coding import ClusterSettings, cluster_weights
from pocketcnn.compression.coding.deep_compression import cluster_and_fine_tune
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compression_run import CompressionRun, accuracy, longer
from pocketcnn.training import Recipe, evaluate

CLUSTERED_LEARNING_RATE = 1e-3
"""Learning rate of cluster centroids with AdamW, which normalizes their gradients (sums over many weights).

With a tenth of it, a centroid moves by only 0.001 in the 20 steps of the effort ``quick``, which recovers little accuracy.
"""


def cluster_and_recover(network: GraphNetwork, bits: int, run: CompressionRun) -> GraphNetwork:
    """Cluster the weights of each layer to 2^bits values and fine-tune these with `network` as teacher.

    If that costs more accuracy than `max_loss`, the fine-tuning is repeated with more epochs and the better result is kept.
    """
    began = time.monotonic()
    settings = ClusterSettings(bits=bits)
    before = evaluate(cluster_weights(network, settings), run.sets.val).top1
    usual = run.trainings.quantized().with_(optimizer="adamw", learning_rate=CLUSTERED_LEARNING_RATE)
    name = f"clustered {run.attempt + 1}" if run.attempt else "clustered"

    def tuned(name: str, recipe: Recipe) -> GraphNetwork:
        def retrain(_stage: str, module: nn.Module) -> None:
            run.workspace.train(name, module, run.sets.train, run.sets.val, recipe, network)

        return cluster_and_fine_tune(network, settings, retrain)

    recipe, clustered = usual, tuned(name, usual)
    validation = accuracy(clustered, run.sets.val)
    if run.loses_too_much(validation):
        again = tuned(f"{name}, longer", longer(usual))
        if accuracy(again, run.sets.val).top1 > validation.top1:
            recipe, clustered = longer(usual), again
    recorded: dict[str, object] = {"bits": bits, "recipe": recipe.model_dump(mode="json")}
    note = f"{before:.1%} before the cluster centroids were trained"
    run.record("clustered", clustered, settings=recorded, seconds=time.monotonic() - began, note=note)
    return clustered
