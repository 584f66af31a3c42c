"""SqueezeNet 1.0 as Deep Compression stores it: a third of the weights, six bits.

There are no weights here that were trained on ImageNet for SqueezeNet. In their place the whole network of the paper, all 1000
classes included, learns scikit-learn's handwritten digits, which are ten of these classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import pocketcnn as pc
from benchmarks.compression.quantization_table.data import SIDE, LabelledImages, Split, labelled
from pocketcnn.compression.coding import ClusterSettings, deep_compress
from pocketcnn.graph import GraphNetwork, capture, predictions
from pocketcnn.training import Recipe, train

DENSITY = 0.33
"""Of SqueezeNet's paper (Table 2)."""

RECIPE = Recipe(
    batch_size=32,
    optimizer="adamw",
    learning_rate=6e-4,
    weight_decay=0.01,
    warmup_epochs=0.0,
    label_smoothing=0.0,
    gradient_clip=1.0,
    ema_decay=0.0,
)
"""Without batch normalization the rate must be low."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """Epochs of the three trainings."""

    epochs: int
    sparse_epochs: int
    shared_epochs: int


def images() -> Split:
    """The digits in three equal channels."""
    split = labelled("digits")

    def coloured(part: LabelledImages) -> LabelledImages:
        return LabelledImages(part.images.expand(-1, 3, -1, -1).contiguous(), part.labels, part.shifts)

    return Split(coloured(split.train), coloured(split.val), coloured(split.test))


def parent(data: Split, setting: Setting, seed: int) -> GraphNetwork:
    """SqueezeNet 1.0 after its training."""
    torch.manual_seed(seed)
    module = pc.create("squeezenet1_0", dropout=0.0)
    nn.init.ones_(module.classifier.conv.bias)  # its last layer is a ReLU: most classes would die of a short training
    network = GraphNetwork(capture(module, (1, 3, SIDE, SIDE)))
    train(network, data.train, data.val, RECIPE.with_(epochs=setting.epochs, warmup_epochs=1.0, seed=seed))
    return network.eval()


def compressed(network: GraphNetwork, bits: int, data: Split, setting: Setting, seed: int, say: Say) -> GraphNetwork:
    """`network` pruned to the paper's density, retrained, shared in `bits`, and its shared values trained."""

    def retrain(stage: str, module: nn.Module) -> None:
        epochs, rate = (setting.sparse_epochs, 3e-4) if stage == "sparse" else (setting.shared_epochs, 1e-4)
        found = train(module, data.train, data.val, RECIPE.with_(epochs=epochs, learning_rate=rate, seed=seed))
        say(f"{bits} bits, {stage}: {found.val_accuracy:.2%}")

    return deep_compress(network, ClusterSettings(density=DENSITY, bits=bits), retrain).eval()


def accuracy(network: GraphNetwork, data: LabelledImages) -> float:
    """Top-1."""
    return float((classes(network, data.images) == data.labels).double().mean())


def classes(network: GraphNetwork, images: Tensor) -> Tensor:
    """The first answers (N,)."""
    return predictions(network, images, 64).argmax(1)
