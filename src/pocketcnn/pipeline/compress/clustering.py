"""Weights made few and alike for the sake of the coded model file, as a stage of shrinking."""

import time

from torch import nn

from pocketcnn.compression.coding import ClusterSettings, cluster_weights
from pocketcnn.compression.coding.deep_compression import cluster_and_fine_tune
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compression_run import CompressionRun, accuracy, longer
from pocketcnn.training import Recipe, evaluate

CLUSTERED_LEARNING_RATE = 1e-3
"""Learning rate of shared values, under AdamW: their gradients are sums over many weights, whose size it takes out.

In the 20 steps of ``quick`` a tenth of it moves a value by 0.001 in all, which brings back little of what was lost.
"""


def cluster_and_recover(network: GraphNetwork, bits: int, run: CompressionRun) -> GraphNetwork:
    """`network` with weights that share 2^bits values in each layer, which are trained against what it was.

    Where that costs more than the method accepts, they are trained again, for longer.
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

    recipe, shared = usual, tuned(name, usual)
    found = accuracy(shared, run.sets.val)
    if run.loses_too_much(found):
        again = tuned(f"{name}, longer", longer(usual))
        if accuracy(again, run.sets.val).top1 > found.top1:
            recipe, shared = longer(usual), again
    how: dict[str, object] = {"bits": bits, "recipe": recipe.model_dump(mode="json")}
    note = f"{before:.1%} before the shared values were trained"
    run.record("clustered", shared, settings=how, seconds=time.monotonic() - began, note=note)
    return shared
