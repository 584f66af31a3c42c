"""A checkpoint that can be read but is not the state of this training is refused in words; it never seems finished."""

import copy
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketcnn.errors import PocketcnnError
from pocketcnn.training import Recipe, train
from pocketcnn.training.checkpoint import checkpoints, save_checkpoint
from pocketcnn.training.checkpoint_state import KEYS
from pocketcnn.training.optimizer import USUAL_RATES, lower_rate
from tests.support.training import QUICK, Digits, small_net

RECIPE = QUICK.with_(epochs=2)
TRAIN, VAL = Digits(0, 64), Digits(64, 96)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state after one of two epochs."""
    out = tmp_path_factory.mktemp("half")
    states: list[dict[str, Any]] = []

    class Keep(Exception):
        pass

    with pytest.MonkeyPatch.context() as patch:

        def keep(_folder: Path, _step: int, state: dict[str, Any]) -> None:
            states.append(copy.deepcopy(state))
            if state["position"]["epoch"] == 1:
                raise Keep

        patch.setattr("pocketcnn.training.saver.save_checkpoint", keep)
        with pytest.raises(Keep):
            train(small_net(), TRAIN, VAL, RECIPE, out=out, checkpoint_seconds=0)
    return states[-1]


def resumed(state: dict[str, Any], out: Path) -> Any:
    for old in checkpoints(out / "checkpoints"):
        old.unlink()
    save_checkpoint(out / "checkpoints", 1, copy.deepcopy(state))
    return train(small_net(), TRAIN, VAL, RECIPE, out=out, resume=True)


def changed(state: dict[str, Any], path: tuple[Any, ...], to: Any) -> dict[str, Any]:
    state = copy.deepcopy(state)
    inside: Any = state
    for key in path[:-1]:
        inside = inside[key]
    if to is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = to
    return state


def test_the_state_as_it_is_is_resumed(half: dict[str, Any], tmp_path: Path) -> None:
    assert set(half) - {"format"} == KEYS
    assert resumed(half, tmp_path).finished


WRONG = [
    (("position", "epoch"), 10**9, "after epoch 1000000000, and the training has 2"),
    (("position", "epoch"), -1, "its epoch is -1"),
    (("position", "epoch"), 1.5, "its epoch is 1.5"),
    (("position", "epoch"), "1", "its epoch is '1'"),
    (("position", "epoch"), True, "its epoch is True"),
    (("position", "epoch"), 2, "is not the one after epoch 2"),
    (("position", "step"), 10**9, "step 1000000000 is not the one"),
    (("position", "batch"), 10**9, "after batch 1000000000"),
    (("position", "samples"), 10**9, "images of 64 in one epoch"),
    (("position", "seconds"), math.nan, "its time is no number"),
    (("position",), {}, "position has other fields"),
    (("position",), [1], "position is no table"),
    (("history",), [], "does not have the 1 finished epochs"),
    (("history",), {}, "history is no list"),
    (("history", 0, "epoch"), 7, "does not have the 1 finished epochs"),
    (("history", 0, "val_accuracy"), "good", "no number"),
    (("history", 0, "more"), 1, "cannot be used"),
    (("best",), {}, "best epoch does not belong"),
    (("best", "epoch"), 5, "best epoch is none of its epochs"),
    (("best", "network"), ..., "lacks the weights of its best epoch"),
    (("best", "network"), {}, "other names"),
    (("loss_sum",), torch.zeros(3), "sum of losses"),
    (("rng",), {}, "cannot be used"),
    (("optimizer",), {}, "cannot be used"),
    (("optimizer", "param_groups"), [], "cannot be used"),
    (("network",), {}, "belongs to another network"),
    (("recipe",), None, "recipe is no table"),
    *(((key,), ..., f"it lacks {key}") for key in sorted(KEYS)),
]


@pytest.mark.parametrize(
    ("path", "to", "says"), WRONG, ids=[".".join(map(str, path)) + f"={to!r:.12}" for path, to, _ in WRONG]
)
def test_what_is_wrong_is_said(path: tuple[Any, ...], to: Any, says: str, half: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(PocketcnnError) as caught:
        resumed(changed(half, path, to), tmp_path)
    told = str(caught.value)
    assert says in told
    if "belongs to another" not in told:
        assert "step-000000001.pt" in told
        assert "train into another folder" in told


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(place for key, child in children for place in places(child, (*path, key)))]


ANYTHING = (
    ..., None, True, -1, 0, 7, 10**9, 10**30, 0.5, math.nan, math.inf, "", "text", [], {}, [1, 2], {"a": 1},
    torch.zeros(()), torch.zeros(0), torch.full((3,), math.nan), torch.full((2, 2), 1e30),
)  # fmt: skip


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 1000), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_any_change_gives_a_training_or_a_message(seeds: range, half: dict[str, Any], tmp_path: Path) -> None:
    """Not by hypothesis, whose random numbers a checkpoint replaces."""
    for seed in seeds:
        rng = random.Random(seed)
        place, to = rng.choice(places(half)), rng.choice(ANYTHING)
        try:
            result = resumed(changed(half, place, to), tmp_path)
        except PocketcnnError:
            continue
        assert result.finished, (place, to)
        assert [record.epoch for record in result.history] == [1, 2], (place, to)


def test_objects_in_a_checkpoint_are_not_loaded_and_no_advice_is_passed_on_to_load_them(tmp_path: Path) -> None:
    class Harmful:
        pass

    (tmp_path / "checkpoints").mkdir()
    torch.save({"format": 1, "x": RuntimeError("x")}, tmp_path / "checkpoints" / "step-000000001.pt")
    with pytest.raises(PocketcnnError) as caught:
        train(small_net(), TRAIN, VAL, RECIPE, out=tmp_path, resume=True)
    assert "holds objects that no checkpoint has" in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("optimizer", sorted(USUAL_RATES))
@pytest.mark.parametrize("rate", [1e30, 1.0, 1e-4])
def test_the_advice_after_a_divergence_is_a_usual_rate(optimizer: str, rate: float) -> None:
    advised = lower_rate(Recipe(optimizer=optimizer, learning_rate=rate))  # type: ignore[arg-type]
    assert advised < rate
    assert advised <= 0.1
