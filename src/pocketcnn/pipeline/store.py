"""Weights made few and alike for the sake of the coded model file, as a stage of shrinking."""

import time
from typing import TYPE_CHECKING

from torch import nn

from pocketcnn.compression.coding import CodeSettings, code
from pocketcnn.compression.coding.deep import share_and_tune
from pocketcnn.graph import GraphNetwork
from pocketcnn.training import evaluate

if TYPE_CHECKING:
    from pocketcnn.pipeline.shrink import Bench

SHARED_RATE = 1e-4
"""Learning rate of shared values, under AdamW: their gradients are sums over many weights, whose size it takes out."""


def make_shared(network: GraphNetwork, bits: int, bench: "Bench") -> GraphNetwork:
    """`network` with weights that share 2^bits values in each layer, which are trained against what it was."""
    began = time.monotonic()
    settings = CodeSettings(bits=bits)
    before = evaluate(code(network, settings), bench.sets.val).top1
    recipe = bench.trainings.quantized().with_(optimizer="adamw", learning_rate=SHARED_RATE)
    name = f"shared {bench.attempt + 1}" if bench.attempt else "shared"

    def retrain(_stage: str, module: nn.Module) -> None:
        bench.workspace.train(name, module, bench.sets.train, bench.sets.val, recipe, network)

    shared = share_and_tune(network, settings, retrain)
    how: dict[str, object] = {"bits": bits, "recipe": recipe.model_dump(mode="json")}
    note = f"{before:.1%} before the shared values were trained"
    bench.record("shared", shared, settings=how, seconds=time.monotonic() - began, note=note)
    return shared
