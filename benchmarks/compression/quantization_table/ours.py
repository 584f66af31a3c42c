"""Our ways to quantize, as settings with names, and the fine-tuning with learned steps."""

from pocketcnn.compression.quantization import LearnedSteps, QuantizeSettings
from pocketcnn.graph import GraphNetwork
from pocketcnn.training import Recipe, distil

from .data import LabelledImages, Split
from .subjects import epochs_of

PLAIN = QuantizeSettings(bias_correction=False)

WAYS: dict[str, QuantizeSettings] = {
    "defaults": QuantizeSettings(),
    "no bias correction": PLAIN,
    "minmax": QuantizeSettings(method="minmax"),
    "percentile": QuantizeSettings(method="percentile"),
    "entropy": QuantizeSettings(method="entropy"),
    "symmetric": QuantizeSettings(symmetric_activations=True),
    "per tensor": PLAIN.with_(per_channel=False),
    "per tensor, equalized": PLAIN.with_(per_channel=False, equalize="weights"),
    "per tensor, equalized, ReLU for ReLU6": PLAIN.with_(per_channel=False, equalize="weights", relu6="replace"),
    "equalized": QuantizeSettings(equalize="activations"),
    "weights by their largest": QuantizeSettings(weight_range="max"),
    "AdaRound": QuantizeSettings(rounding="adaptive"),
}
"""Each method in place of what the defaults have; equalization is for one scale a tensor, and shown beside that."""

SHORT = ["defaults"]
"""What every seed is quantized with; the others show what single methods do."""

FINE_TUNING = Recipe(
    batch_size=32,
    optimizer="sgd",
    learning_rate=2.5e-3,
    weight_decay=0.0,
    warmup_epochs=0.3,
    label_smoothing=0.0,
    ema_decay=0.0,
    distillation_weight=1.0,
    gradient_clip=1.0,
)


PHOTOGRAPHS = FINE_TUNING.with_(batch_size=8, learning_rate=1e-3)
"""For EfficientNet-Lite0 on crops; at ten times the rate it forgets what it knows."""


def fine_tuned(
    quantized: GraphNetwork,
    float_network: GraphNetwork,
    split: Split,
    *,
    steps: int,
    seed: int,
    recipe: Recipe = FINE_TUNING,
) -> GraphNetwork:
    """Trained on with learned steps against the float network."""
    learner = LearnedSteps(quantized)
    shifted = LabelledImages(split.train.images, split.train.labels, shifts=True)
    epochs = epochs_of(steps, split, recipe.batch_size)
    distil(learner, float_network, shifted, split.val, recipe.with_(epochs=epochs, seed=seed))
    return learner.reparameterize().eval()
