"""Recipes for few images: small batches, and steps that count."""

import pytest
from hypothesis import given
from hypothesis.strategies import integers, sampled_from

from pocketcnn.pipeline.effort import EFFORTS
from pocketcnn.pipeline.recipes import TrainingRecipes
from pocketcnn.pipeline.small_sets import (
    LEAST_STEPS,
    MOST_EPOCHS,
    STEPS_PER_EPOCH,
    batch_size_for,
    default_recipe,
)
from pocketcnn.training import Recipe


@given(integers(1, 100_000), integers(1, 512))
def test_an_epoch_has_steps_or_the_batch_is_small(images: int, largest: int) -> None:
    batch = batch_size_for(images, largest)
    assert 1 <= batch <= largest
    assert images // batch >= STEPS_PER_EPOCH or batch <= 16
    if images >= STEPS_PER_EPOCH * largest:
        assert batch == largest


@given(integers(20, 100_000), sampled_from(["low", "medium", "high"]))
def test_small_sets_take_no_fewer_steps_than_large_ones(images: int, effort: str) -> None:
    """In every training of a command, and at most `MOST_STEPS` times as many images are seen as a full batch has."""
    trainings, size = TrainingRecipes(EFFORTS[effort], images, seed=0), EFFORTS[effort]
    for recipe, steps in (
        (trainings.round(0), size.rounds[0]),
        (trainings.final(), size.final_steps),
        (trainings.recovery(), size.recovery_steps),
        (trainings.quantized(), size.quantized_steps),
    ):
        per_epoch = max(1, images // recipe.batch_size)
        assert recipe.epochs * per_epoch >= steps
        assert (recipe.epochs - size.min_epochs) * per_epoch * recipe.batch_size <= 64 * steps + images


def test_the_case_of_five_hundred_images() -> None:
    """Eight steps an epoch became thirty."""
    recipe = TrainingRecipes(EFFORTS["low"], 493, seed=0).final()
    assert (recipe.batch_size, recipe.epochs, recipe.learning_rate) == (16, 43, pytest.approx(0.05))
    trained = default_recipe(Recipe(), 493)
    assert (trained.batch_size, trained.epochs) == (16, 30)


@given(integers(1, 50_000))
def test_the_default_recipe_has_enough_steps(images: int) -> None:
    recipe = default_recipe(Recipe(), images)
    steps = recipe.epochs * max(1, images // recipe.batch_size)
    assert steps >= LEAST_STEPS or recipe.epochs == MOST_EPOCHS
    if images >= 64 * STEPS_PER_EPOCH * 2:
        assert recipe == Recipe()


def test_what_a_recipe_sets_is_kept() -> None:
    """Also the default value, if it is given."""
    given_all = Recipe(epochs=30, batch_size=64, learning_rate=0.1)
    assert default_recipe(given_all, 100) == given_all
    assert default_recipe(Recipe().with_(epochs=2), 100).epochs == 2
    assert default_recipe(Recipe(learning_rate=0.3).with_(seed=4), 100).learning_rate == 0.3
