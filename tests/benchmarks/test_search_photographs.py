"""The comparison of strategies on photographs: images, predictor, searches, page, and the default that follows from it."""

import inspect
import io
import json
import tarfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import search_photographs as benchmark
from benchmarks.photograph_search import trainings
from benchmarks.photograph_search.images import photographs
from benchmarks.photograph_search.page import default_strategy, page, winner
from benchmarks.photograph_search.predictor import Predictor, features
from benchmarks.photograph_search.replay import Replay, chosen, really_searched, replayed
from benchmarks.photograph_search.setting import SETTING, STRATEGIES, name_of, point_of, space
from pocketcnn.cost import count
from pocketcnn.errors import UsageError
from pocketcnn.nas.strategies import STRATEGIES as KNOWN
from pocketcnn.nas.trial import Evaluation, Finished, Proposal
from pocketcnn.pipeline.search.search import search

CHECKED_IN = sorted(benchmark.OUT.glob(f"{benchmark.STEM}.json"))
TINY = replace(
    SETTING,
    train=20,
    val=10,
    test=10,
    pool=24,
    repeated=8,
    epochs=1,
    budgets=(4, 9),
    searches=6,
    judged=4,
    seeds=(0, 1),
)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply-adds without building networks: the sum of the choices, of which most keep a budget of 8."""
    for module in ("trainings", "predictor", "replay"):
        monkeypatch.setattr(f"benchmarks.photograph_search.{module}.madds", _sum)
    monkeypatch.setattr("benchmarks.search_photographs.madds", _sum)
    for module in ("benchmarks.photograph_search.trainings", "benchmarks.photograph_search.replay"):
        monkeypatch.setattr(f"{module}.bound", lambda: 8)
    monkeypatch.setattr("benchmarks.search_photographs.bound", lambda: 8)


def _sum(name: str) -> int:
    return 1 + sum(map(int, name.split()))


def archive(path: Path, per_class: int = 3) -> Path:
    """An archive of ten classes; the images of a class have one grey, and those of the test are darker by one."""
    with tarfile.open(path, "w:xz") as packed:
        for split in ("test", "train"):
            for label in range(10):
                for number in range(per_class):
                    picture = Image.fromarray(np.full((32, 32, 3), 20 * label + 10 * (split == "train"), np.uint8))
                    bytes_ = io.BytesIO()
                    picture.save(bytes_, "png")
                    info = tarfile.TarInfo(f"set/{split}/class{label}/{number:04d}.png")
                    info.size = bytes_.tell()
                    bytes_.seek(0)
                    packed.addfile(info, bytes_)
    return path


def test_photographs_are_the_first_of_each_class_in_three_parts(tmp_path: Path) -> None:
    data = photographs(archive(tmp_path / "a.tar.xz"), TINY)
    assert [len(part) for part in (data.train, data.val, data.test)] == [20, 10, 10]
    pixels, labels = data.train.tensors
    assert pixels.shape == (20, 3, 32, 32)
    assert labels.bincount().tolist() == [2] * 10
    torch.testing.assert_close(pixels[labels == 3].mean(), torch.tensor(70 / 127.5 - 1))
    torch.testing.assert_close(data.test.tensors[0][3].mean(), torch.tensor(60 / 127.5 - 1))
    with pytest.raises(UsageError, match="30 images of 10 classes for train; 40 of 10 are needed"):
        photographs(tmp_path / "a.tar.xz", replace(TINY, train=40, val=0))


def test_names_and_points_are_the_same_thing() -> None:
    point = space().random(np.random.default_rng(3))
    assert point_of(name_of(point)) == point
    sizes = [len(each.choices) for each in space().decisions]
    assert int(np.prod(sizes)) == 13824


@pytest.mark.parametrize("seed", range(3))
def test_multiply_adds_are_those_that_the_library_counts(seed: int) -> None:
    name = name_of(space().random(np.random.default_rng(seed)))
    assert trainings.madds(name) == count(trainings.network_of(name, 0), (1, 3, 32, 32)).madds


@pytest.mark.usefixtures("costs")
def test_the_predictor_learns_what_the_choices_are_worth_and_how_much_seeds_differ() -> None:
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(name_of(space().random(rng)) for _ in range(80)))
    worth = {name: 0.3 + 0.02 * _sum(name) for name in names}
    predictor = Predictor({name: [worth[name] + 0.01, worth[name] - 0.01] for name in names[:60]})
    assert predictor.noise == pytest.approx(0.01 * 2**0.5)
    assert predictor.quality > 0.95
    for name in names[60:]:
        assert predictor(name) == pytest.approx(worth[name], abs=0.02)
    assert Predictor({names[0]: [0.5]}).noise == 0.0
    assert features(names[:2]).shape == (2, sum(len(each.choices) for each in space().decisions) + 1)
    assert features(names[:2])[:, :-1].sum(1).tolist() == [len(space().decisions)] * 2


class Known:
    """A predictor that knows the worth of every network: the less it costs beyond the budget, the better within."""

    noise = 0.05

    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, name: str) -> float:
        return self.level + 0.01 * _sum(name)


@pytest.mark.usefixtures("costs")
def test_a_search_sees_noise_and_is_judged_without_it() -> None:
    predictors: Any = {6: Known(0.3), 2: Known(0.2), 1: Known(0.1)}
    found = replayed("halving", 12, 0, predictors, SETTING)
    assert found["accuracy"] == round(predictors[6](found["network"]), 5)
    assert _sum(found["network"]) <= 8
    assert replayed("halving", 12, 0, predictors, SETTING) == found
    point = point_of(found["network"])
    seen = {seed: Replay(predictors, SETTING, seed)(Proposal(point), 0) for seed in (0, 1)}
    assert seen[0].accuracy != seen[1].accuracy
    assert seen[0] == Replay(predictors, SETTING, 0)(Proposal(point), 7)  # a network trained twice is the same
    assert seen[0].use == _sum(found["network"]) / 8
    short = Replay({**predictors, 1: Known(-5.0)}, SETTING, 0)(Proposal(point, 1 / 9), 0)
    assert short.accuracy == 0.0  # an accuracy is never below 0


def test_what_a_search_hands_over_keeps_the_budget_and_was_trained_in_full() -> None:

    def trial(name: str, accuracy: float, use: float, training: float = 1.0) -> Finished:
        return Finished(0, Proposal(point_of(name), training), Evaluation(accuracy, use), accuracy)

    names = [name_of(space().random(np.random.default_rng(seed))) for seed in range(3)]
    trials = [trial(names[0], 0.5, 1.0), trial(names[1], 0.9, 1.01), trial(names[2], 0.8, 0.5, 1 / 3)]
    assert chosen(trials) == names[0]
    assert chosen(trials[1:]) is None


@pytest.mark.usefixtures("costs")
def test_a_real_search_measures_each_network_with_its_seed() -> None:
    asked = []

    def measure(name: str, share: float, seed: int) -> float:
        asked.append((share, seed))
        return 0.1 + 0.01 * _sum(name)

    assert _sum(str(really_searched("random", 5, 11, measure))) <= 8
    assert asked == [(1.0, 11)] * 5


@pytest.mark.usefixtures("costs")
def test_all_parts_run_once_and_go_on_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def trained(name: str, share: float, seed: int, *_: Any) -> dict[str, float]:
        done.append(f"{name} {share} {seed}")
        return {"val": 0.2 + 0.02 * _sum(name) + 0.001 * seed, "test": 0.2}

    monkeypatch.setattr(benchmark, "trained", trained)
    setting = replace(TINY, epochs=9, real_evaluations=3, real_seeds=(0,))
    options = Namespace(archive=archive(tmp_path / "a.tar.xz"), part=["table"], seconds=-1.0)
    document: dict[str, Any] = {"trainings": {}, "real": {}}
    path = tmp_path / "found.json"
    benchmark.run(options, document, path, setting)
    assert len(done) == 1  # the time was up
    options.part, options.seconds = None, 600.0
    document = json.loads(path.read_text())
    benchmark.run(options, document, path, setting)
    assert len(set(done)) == len(done)
    assert len(document["networks"]) == setting.pool
    table = [key for key in document["trainings"] if key.split(" | ")[0] in document["networks"]]
    assert len(table) >= 3 * (setting.pool + setting.repeated)
    assert set(document["searches"]) == set(STRATEGIES)
    assert document["real"]
    text = page(document, setting)
    assert "Trained: 24 of 24 random networks of up to 1.25 times the budget, 8 of them with a second seed." in text
    assert "## Searches on the predictor" in text
    assert "## Searches with real trainings" in text
    again = list(done)
    benchmark.run(options, document, path, setting)
    assert done == again
    with pytest.raises(UsageError, match="Give the archive"):
        benchmark.run(Namespace(archive=None), {}, path)


def found(values: dict[str, list[float]]) -> dict[str, Any]:
    """A document with searches that found networks of these accuracies."""
    return {
        "bound": 100,
        "networks": {"0": 90, "1": 90, "2": 120},
        "trainings": {f"{name} | 6 | 0": {"val": 0.4 + 0.1 * int(name), "test": 0.4} for name in ("0", "1", "2")},
        "fitted": {"6": 3},
        "predictor": {"6": {"quality": 0.9, "noise": 0.01}},
        "space": {"networks": 10, "best": 0.6, "median": 0.5},
        "searches": {name: {"30": {"accuracy": row, "network": ["0"] * len(row)}} for name, row in values.items()},
    }


def test_the_winner_is_the_best_that_is_certainly_better_than_random_search() -> None:
    control = [0.5 + 0.001 * seed for seed in range(20)]
    better, lucky = [value + 0.02 for value in control], [0.9, *control[1:]]
    document = found(dict.fromkeys(STRATEGIES, control) | {"evolution": better, "halving": lucky})
    assert winner(document, 30) == "evolution"
    assert winner(found({"random": control, "halving": lucky}), 30) == "random"
    assert winner(found({"random": better, "halving": control}), 30) == "random"
    text = page(document)
    assert "- 30 evaluations: better than random search at p < 0.01: evolution. The best of them: evolution." in text
    assert "the best has 50.0% validation accuracy, the median 45.0%: 5.0 points less" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| evolution |")]
    assert row.startswith("| evolution | **")
    assert "12 evaluations |" not in text  # with which not all strategies have searched
    assert page({"trainings": {}}).endswith("Nothing was measured yet.\n")


@pytest.mark.parametrize("path", CHECKED_IN)
def test_the_page_that_is_checked_in_is_made_of_its_measurements(path: Path) -> None:
    document = json.loads(path.read_text())
    assert benchmark.as_json(document) == path.read_text()
    assert page(document) == path.with_suffix(".md").read_text()
    names = [key.split(" | ")[0] for key in document["trainings"]]
    assert all(name_of(point_of(name)) == name for name in names[:50])
    for name, cost in list(document["networks"].items())[:3]:
        assert trainings.madds(name) == cost


def test_a_default_follows_only_where_networks_differ_and_a_strategy_wins() -> None:
    control = [0.5 + 0.001 * seed for seed in range(20)]
    document = found(dict.fromkeys(STRATEGIES, control) | {"evolution": [value + 0.02 for value in control]})
    assert default_strategy(document) == "evolution"
    assert "The default strategy of `pocketcnn search` follows from it: evolution." in page(document)
    document["trainings"]["1 | 6 | 0"]["val"] -= 0.01  # the best is now less than five points above the median
    assert default_strategy(document) is None
    assert "does not decide the default strategy" in page(document)
    assert default_strategy(found(dict.fromkeys(STRATEGIES, control))) is None
    assert "Not all strategies have searched yet." in page(found({"random": control}))


@pytest.mark.parametrize("path", CHECKED_IN)
def test_the_default_strategy_is_the_one_that_won(path: Path) -> None:
    won = default_strategy(json.loads(path.read_text()))
    default = inspect.signature(search).parameters
    assert default["trials"].default == SETTING.judged
    assert won is None or default["strategy"].default == won
    assert set(STRATEGIES) <= set(KNOWN)
