"""Batches and lengths of trainings on few images, where optimizer steps matter more than epochs.

With batches of 64 an epoch of 500 images has 8 steps, so that 30 epochs are 240 steps: most networks have not left the
plateau of the most frequent class by then. Smaller batches take more steps over the same images, for about the same arithmetic.
"""

from pocketcnn.training import Recipe

STEPS_PER_EPOCH = 16
"""An epoch should have as many steps. Larger sets keep the batch size of the recipe."""

SMALLEST_BATCH = 16
"""Images in a batch, unless an eighth of the set is fewer. Statistics of batch norm are too noisy below."""

LEAST_IMAGES = 8

MOST_STEPS = 4
"""Largest factor on the number of optimizer steps for smaller batches."""

LEAST_STEPS = 900
"""Optimizer steps of the default recipe of `train`, at least: 30 epochs of 480 images in batches of 16."""

MOST_EPOCHS = 120
"""Epochs of the default recipe of `train`, at most, however few images there are."""


def batch_size_for(images: int, largest: int) -> int:
    """The batch size for a training set of so many images: `largest`, halved until an epoch has `STEPS_PER_EPOCH` steps."""
    least = min(largest, SMALLEST_BATCH, max(LEAST_IMAGES, images // LEAST_IMAGES))
    batch = largest
    while images // batch < STEPS_PER_EPOCH and batch > least:
        batch = max(least, batch // 2)
    return batch


def learning_rate_for(recipe: Recipe, batch: int) -> float:
    """The learning rate of `recipe` for another batch size: proportional to the square root of the batch size.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, section 5.
    """
    return float(recipe.learning_rate * (batch / recipe.batch_size) ** 0.5)


def more_steps(images: int, largest: int) -> float:
    """The factor on a number of optimizer steps that sees about as many images as batches of `largest`: 1 to `MOST_STEPS`."""
    return min(MOST_STEPS, largest / batch_size_for(images, largest))


def default_recipe(recipe: Recipe, images: int) -> Recipe:
    """`recipe` with those of batch size, learning rate and epochs that it does not set chosen for a set of so many images."""
    given = recipe.model_fields_set
    changes: dict[str, object] = {}
    if "batch_size" not in given:
        batch = batch_size_for(images, recipe.batch_size)
        if batch < recipe.batch_size:
            changes["batch_size"] = batch
            if "learning_rate" not in given:
                changes["learning_rate"] = learning_rate_for(recipe, batch)
    if "epochs" not in given:
        per_epoch = max(1, images // int(str(changes.get("batch_size", recipe.batch_size))))
        epochs = min(MOST_EPOCHS, -(-LEAST_STEPS // per_epoch))
        if epochs > recipe.epochs:
            changes["epochs"] = epochs
    return recipe.with_(**changes) if changes else recipe
