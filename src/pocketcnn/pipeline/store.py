"""Weights made few and alike for the sake of the coded model file, as a stage of shrinking."""

import time

from torch import nn

from pocketcnn.compression.coding import CodeSettings, code
from pocketcnn.compression.coding.deep import share_and_tune
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compression_run import Bench, accuracy, longer
from pocketcnn.training import Recipe, evaluate

SHARED_RATE = 1e-3
"""Learning rate of shared values, under AdamW: their gradients are sums over many weights, whose size it takes out.

In the 20 steps of ``quick`` a tenth of it moves a value by 0.001 in all, which brings back little of what was lost.
"""


def make_shared(network: GraphNetwork, bits: int, bench: Bench) -> GraphNetwork:
    """`network` with weights that share 2^bits values in each layer, which are trained against what it was.

    Where that costs more than the method accepts, they are trained again, for longer.
    """
    began = time.monotonic()
    settings = CodeSettings(bits=bits)
    before = evaluate(code(network, settings), bench.sets.val).top1
    usual = bench.trainings.quantized().with_(optimizer="adamw", learning_rate=SHARED_RATE)
    name = f"shared {bench.attempt + 1}" if bench.attempt else "shared"

    def tuned(name: str, recipe: Recipe) -> GraphNetwork:
        def retrain(_stage: str, module: nn.Module) -> None:
            bench.workspace.train(name, module, bench.sets.train, bench.sets.val, recipe, network)

        return share_and_tune(network, settings, retrain)

    recipe, shared = usual, tuned(name, usual)
    found = accuracy(shared, bench.sets.val)
    if bench.loses_too_much(found):
        again = tuned(f"{name}, longer", longer(usual))
        if accuracy(again, bench.sets.val).top1 > found.top1:
            recipe, shared = longer(usual), again
    how: dict[str, object] = {"bits": bits, "recipe": recipe.model_dump(mode="json")}
    note = f"{before:.1%} before the shared values were trained"
    bench.record("shared", shared, settings=how, seconds=time.monotonic() - began, note=note)
    return shared
