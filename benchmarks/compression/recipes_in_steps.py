"""The recipe that the comparisons of pruning share, for so many optimizer steps whatever the number of images."""

from pocketcnn.training import Recipe

ADAM = Recipe(
    batch_size=32, optimizer="adamw", learning_rate=4e-3, weight_decay=0.01, label_smoothing=0.0, ema_decay=0.99
)


def in_steps(recipe: Recipe, steps: int, images: int, *, rate: float, seed: int) -> Recipe:
    """`recipe` over as many whole epochs of `images` images as come nearest to `steps` optimizer steps."""
    epochs = max(1, round(steps * recipe.batch_size / images))
    return recipe.with_(epochs=epochs, learning_rate=rate, warmup_epochs=min(1.0, epochs / 10), seed=seed)
