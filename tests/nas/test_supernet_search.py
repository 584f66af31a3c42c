"""Sub-networks of a supernet: trained, judged, predicted, and found by evolution."""

import importlib.util
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as to_bytes
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.nas.supernet.evaluation import SubnetworkEvaluator, accuracy_of, recalibrated
from pocketcnn.nas.supernet.evolution import EvolutionSettings, evolve, repaired
from pocketcnn.nas.supernet.network import Sandwich, Supernet, at_size, extract
from pocketcnn.nas.supernet.predictor import AccuracyPredictor, encode, rank_correlation, require_predictor
from pocketcnn.nas.supernet.sampling import random_subnetwork
from pocketcnn.nas.supernet.subnetwork import Block, Subnetwork
from pocketcnn.nas.supernet.supernet_file import HEADER, load_supernet, save_supernet
from pocketcnn.training import Recipe, train
from tests.support.supernet import PLAN, disturbed

RECIPE = Recipe(epochs=6, batch_size=32, optimizer="adamw", learning_rate=0.02, weight_decay=0.01, warmup_epochs=0.5)
TINY = PLAN.restricted(sizes=((8, 8),), kernels=(3, 5))


def images() -> tuple[Tensor, Tensor]:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    return torch.tensor(digits.images[order], dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(digits.target[order])


IMAGES, LABELS = images()
TRAIN, VAL = TensorDataset(IMAGES[:900], LABELS[:900]), TensorDataset(IMAGES[900:1100], LABELS[900:1100])
HELD_OUT = SubnetworkEvaluator(IMAGES[:512], IMAGES[1100:], LABELS[1100:])


@pytest.fixture(scope="module")
def trained() -> Supernet:
    """All at once."""
    supernet = opened()
    train(supernet, TRAIN, VAL, RECIPE)
    return supernet.eval()


def opened() -> Supernet:
    supernet = Supernet(TINY)
    supernet.sandwich = Sandwich(TINY, drawn=1)
    return supernet


def test_a_resumed_training_ends_the_same_to_the_bit(tmp_path: Path) -> None:
    few, recipe = Subset(TRAIN, range(128)), RECIPE.with_(epochs=2)
    whole = opened()
    train(whole, few, few, recipe)
    for stop_after in (1, None):
        resumed = opened()
        train(resumed, few, few, recipe, out=tmp_path, resume=True, stop_after=stop_after)
    mine, other = resumed.state_dict(), whole.state_dict()
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_sub_networks_have_learned_without_training_of_their_own(trained: Supernet) -> None:
    rng = Random(0)
    choices = [TINY.smallest, TINY.largest, *(random_subnetwork(TINY, rng) for _ in range(3))]
    fresh = Supernet(TINY, seed=1)
    for choice in choices:
        assert accuracy_of(trained, choice, HELD_OUT) > 0.5
        assert accuracy_of(fresh, choice, HELD_OUT) < 0.35


def test_batch_norms_are_told_the_sub_networks_own_statistics(trained: Supernet) -> None:
    without = HELD_OUT.score(extract(trained, TINY.smallest), (8, 8)).loss
    network = recalibrated(trained, TINY.smallest, HELD_OUT.calibration)
    assert HELD_OUT.score(network, (8, 8)).loss < without
    assert not network.training


def test_weights_from_before_the_end_of_a_training_with_sub_networks_are_no_result() -> None:
    supernet = Supernet(TINY)
    assert supernet.is_final
    supernet.sandwich = Sandwich(TINY)
    supernet.set_progress(0.9)
    assert not supernet.is_final
    supernet.set_progress(1.0)
    assert supernet.is_final


def worth(choice: Subnetwork) -> float:
    """Made up, additive: the second stage and large kernels matter most."""
    sums = [sum(block.kernel + 2 * block.expansion for block in blocks) for blocks in choice.stages]
    return (sums[0] + 3 * sums[1] + choice.size[0]) / 100


def cost(choice: Subnetwork) -> float:
    return sum(block.kernel * block.expansion for blocks in choice.stages for block in blocks) * choice.size[0]


def predict(choices: Sequence[Subnetwork]) -> np.ndarray:
    return np.array([worth(choice) for choice in choices])


def everything() -> list[Subnetwork]:
    blocks = [Block(k, e) for k, e in product(PLAN.kernels, PLAN.expansions)]
    stages = [stage for depth in PLAN.depths for stage in product(blocks, repeat=depth)]
    return [Subnetwork(size, pair) for size in PLAN.sizes for pair in product(stages, repeat=2)]


@pytest.mark.parametrize("bound", [150.0, 250.0, 400.0])
def test_evolution_finds_nearly_the_best_that_keeps_the_budget(bound: float) -> None:
    best = max(worth(choice) for choice in everything() if cost(choice) <= bound)
    settings = EvolutionSettings(population=30, generations=15)
    found = evolve(PLAN, predict, lambda choice: cost(choice) <= bound, settings, seed=0)
    assert all(cost(choice) <= bound for choice in found)
    assert worth(found[0]) >= 0.97 * best
    assert [worth(choice) for choice in found] == sorted(map(worth, found), reverse=True)
    assert len(set(found)) == len(found)


def test_evolution_repeats_itself_and_asks_about_each_sub_network_once() -> None:
    asked: list[Subnetwork] = []

    def keeps(choice: Subnetwork) -> bool:
        asked.append(choice)
        return cost(choice) <= 200

    settings = EvolutionSettings(population=10, generations=3)
    one = evolve(PLAN, predict, keeps, settings, seed=5)
    assert len(set(asked)) == len(asked)
    assert one == evolve(PLAN, predict, keeps, settings, seed=5)
    assert one != evolve(PLAN, predict, keeps, settings, seed=6)


def test_where_nothing_keeps_the_budget_nothing_is_found() -> None:
    assert evolve(PLAN, predict, lambda choice: False) == []
    with pytest.raises(UsageError, match="population"):
        EvolutionSettings(population=1)


def test_what_is_brought_into_a_budget_lies_along_it() -> None:
    rng, largest_step = Random(0), 7 * 3 * 8  # a block that is left out
    for _ in range(50):
        choice = repaired(PLAN, PLAN.largest, lambda choice: cost(choice) <= 300, rng)
        assert 300 - largest_step < cost(choice) <= 300


def test_the_predictor_ranks_what_it_has_not_seen() -> None:
    rng = Random(1)
    choices = list({random_subnetwork(PLAN, rng) for _ in range(120)})
    noise = np.random.default_rng(0).normal(0, 0.01, len(choices))
    samples = [(choice, worth(choice) + float(error)) for choice, error in zip(choices, noise, strict=True)]
    predictor = AccuracyPredictor.fit(PLAN, samples[:70])
    unseen = choices[70:]
    found = rank_correlation(predictor(unseen), np.array([worth(choice) for choice in unseen]))
    assert found is not None
    assert found > 0.9
    assert predictor.correlation is not None
    assert predictor.correlation > 0.8


def test_the_predictor_does_not_judge_itself_by_nothing() -> None:
    samples = [(PLAN.largest, 0.5), (PLAN.smallest, 0.4)]
    assert AccuracyPredictor.fit(PLAN, samples).correlation is None
    assert AccuracyPredictor.fit(PLAN, [(choice, 0.5) for choice in everything()[:8]]).correlation is None


def test_different_sub_networks_are_different_numbers() -> None:
    choices = everything()[::37]
    assert len({tuple(encode(PLAN, choice)) for choice in choices}) == len(choices)


def test_a_supernet_comes_back_from_its_file(tmp_path: Path) -> None:
    path, supernet = tmp_path / "supernet.safetensors", disturbed()
    save_supernet(path, supernet, {"samples": [[PLAN.middle.as_dict(), 0.5]]})
    stored = load_supernet(path)
    assert stored.notes == {"samples": [[PLAN.middle.as_dict(), 0.5]]}
    shown = at_size(IMAGES[:4], PLAN.middle.size)
    assert torch.equal(extract(stored.supernet, PLAN.middle)(shown), extract(supernet, PLAN.middle)(shown))


def test_a_file_that_is_no_supernet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    with pytest.raises(UsageError, match="not a supernet file"):
        load_supernet(path)
    path.write_bytes(b"something else")
    with pytest.raises(UsageError, match="not a supernet file"):
        load_supernet(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 10**9),
        ("stem", -8),
        ("last", "wide"),
        ("kernels", [3, 4]),
        ("depths", [1, 1000]),
        ("sizes", [[10**9, 8]]),
        ("stages", [{"out": 8}]),
        ("stages", []),
        ("first", 24),
        ("dropout", None),
        ("format", 2),
        ("plan", None),
        ("notes", [1]),
    ],
)
def test_a_damaged_plan_is_refused_before_memory_is_taken_for_it(name: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    supernet = disturbed()
    header: dict[str, Any] = {"format": 1, "plan": supernet.plan.as_dict(), "notes": {}}
    place = header if name in header else header["plan"]
    place[name] = value
    path.write_bytes(to_bytes(dict(supernet.state_dict()), metadata={HEADER: json.dumps(header)}))
    with pytest.raises(UsageError, match=r"supernet\.safetensors"):
        load_supernet(path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path, supernet = tmp_path / "supernet.safetensors", disturbed()
    next(supernet.parameters()).data.view(-1)[0] = float("nan")
    save_supernet(path, supernet, {})
    with pytest.raises(UsageError, match="not finite"):
        load_supernet(path)


def test_a_missing_library_is_named_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pocketcnn\[search\]"):
        require_predictor()
