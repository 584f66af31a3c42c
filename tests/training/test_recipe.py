from pathlib import Path

import pytest
from pydantic import ValidationError

from pocketcnn.errors import UsageError
from pocketcnn.training import Recipe


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_sets_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(write(tmp_path, 'epochs = 7\noptimizer = "adamw"\nlearning_rate = 0.2\n'))
    assert recipe == Recipe(epochs=7, optimizer="adamw", learning_rate=0.2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate = -1", "learning_rate: Input should be greater than 0, got -1"),
        ("learningrate = 0.1", "learningrate: unknown field; did you mean 'learning_rate'?"),
        ("zzz = 0.1", "the fields are epochs, batch_size"),
        ('optimizer = "lion"', "optimizer: Input should be 'sgd', 'adamw' or 'rmsprop', got 'lion'"),
        ("epochs = 2.5", "epochs: "),
        ("epochs = 2\nwarmup_epochs = 3", "warmup_epochs (3) is longer than epochs (2)"),
        ("learning_rate = nan", "learning_rate is not a finite number"),
        ("epochs = = 3", "is not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_field(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe.from_toml(write(tmp_path, text))
    assert said in str(caught.value)
    assert "recipe.toml" in str(caught.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe.from_toml(write(tmp_path, "epochs = 0\nbatch_size = 0"))
    assert "epochs: " in str(caught.value)
    assert "batch_size: " in str(caught.value)


def test_a_missing_recipe_is_a_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot read the recipe"):
        Recipe.from_toml(tmp_path / "none.toml")


def test_with_changes_a_copy_and_checks_it() -> None:
    recipe = Recipe()
    assert recipe.with_(epochs=3).epochs == 3
    assert recipe == Recipe()
    with pytest.raises(UsageError, match="batch_size"):
        recipe.with_(batch_size=0)
    with pytest.raises(UsageError, match="unknown field; did you mean 'epochs'"):
        recipe.with_(epoch=3)


def test_a_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        Recipe().epochs = 5  # type: ignore[misc]
