"""Strategies are functions of the history, do what their papers say, and beat random search where there is something to learn."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import wilcoxon

from benchmarks.search_table.synthetic import ChainSpace
from pocketcnn.errors import UsageError
from pocketcnn.nas.front import best, best_so_far, hypervolume, pareto_front
from pocketcnn.nas.loop import MemoryTrialLog, run
from pocketcnn.nas.objective import ACCURACY, HARD, SOFT, Objective, load_objective
from pocketcnn.nas.space import key_of
from pocketcnn.nas.strategies import STRATEGIES, strategy_config
from pocketcnn.nas.strategies.base import RandomSearch, WarmStart
from pocketcnn.nas.strategies.controller import Controller, ControllerSettings, surrogate
from pocketcnn.nas.strategies.evolution import Evolution, EvolutionSettings
from pocketcnn.nas.strategies.halving import Halving, rungs
from pocketcnn.nas.strategies.nsga2 import Nsga2
from pocketcnn.nas.strategies.policy import Policy, as_tensors
from pocketcnn.nas.trial import Evaluation, Finished, Proposal
from pocketcnn.nas.workers import Inline
from tests.support.search import Ladder, all_points, climb, searched

TRIALS = 15


@pytest.mark.parametrize(
    "name", [name for name in STRATEGIES if name not in ("mnasnet", "mobilenetv3")]
)  # all one controller
def test_the_next_proposal_follows_from_the_history_alone(name: str) -> None:
    make = strategy_config(name).make
    kept = make(Ladder(), TRIALS)
    total = kept.trials(TRIALS)
    trials = run(kept, SOFT, Inline(climb), MemoryTrialLog(), trials=total, seed=3)
    assert [trial.number for trial in trials] == list(range(total))
    for number in (0, 7, total - 1):
        assert make(Ladder(), TRIALS).propose(trials[:number], 3, number) == trials[number].proposal
    again = run(make(Ladder(), TRIALS), SOFT, Inline(climb), MemoryTrialLog(), trials=total, seed=3)
    assert again == trials
    other = run(make(Ladder(), TRIALS), SOFT, Inline(climb), MemoryTrialLog(), trials=total, seed=4)
    assert [trial.point for trial in other] != [trial.point for trial in trials]
    for trial in trials:
        assert Ladder().check(dict(trial.point)) == trial.point


@pytest.mark.parametrize("name", ["evolution", "halving"])
def test_a_strategy_can_begin_with_promising_points(name: str) -> None:
    space = Ladder()
    points = [point for point in all_points(space) if point["steps"] == 2][:3]
    strategy = WarmStart(strategy_config(name).make(space, 9), points)
    trials = run(strategy, ACCURACY, Inline(climb), MemoryTrialLog(), trials=strategy.trials(9), seed=0)
    assert [trial.point for trial in trials[:3]] == points
    shares = [trial.proposal.training for trial in trials]
    assert sum(shares) == pytest.approx(9)
    assert trials[5].point not in points


def test_random_search_repeats_no_point_while_there_are_new_ones() -> None:
    count = len(all_points(Ladder()))
    trials = searched(RandomSearch(Ladder()), climb, trials=count // 2)
    assert len({key_of(trial.point) for trial in trials}) == count // 2


def test_evolution_mutates_the_best_of_a_sample_of_the_youngest() -> None:
    settings = EvolutionSettings(population=6, sample=6)
    trials = run(Evolution(Ladder(), settings), ACCURACY, Inline(climb), MemoryTrialLog(), trials=20, seed=1)
    for number in range(6, 20):
        population = trials[number - 6 : number]
        fittest = max(population, key=lambda trial: trial.reward or 0)
        changed = {name for name, choice in trials[number].point.items() if choice != fittest.point[name]}
        # one decision, and those that it makes matter or not
        roots = changed - {f"step{step}.colour" for step in (1, 2, 3) if f"step{step}.high" in changed}
        roots -= {name for name in roots if "steps" in changed and name != "steps"}
        known = {key_of(trial.point) for trial in trials[:number]}
        assert len(roots) == 1 or key_of(fittest.point) in known
    with pytest.raises(UsageError):
        EvolutionSettings(population=2, sample=3)


def test_halving_promotes_the_best_and_spends_what_whole_trainings_would() -> None:
    for evaluations in (1, 2, 7, 18, 50):
        spent = sum(rung.points * rung.training for rung in rungs(evaluations))
        assert spent == pytest.approx(evaluations, abs=3)
        assert spent <= evaluations
    strategy = Halving(Ladder(), 6)
    trials = searched(strategy, climb, trials=strategy.trials(6))
    by_rung = [[trial for trial in trials if trial.proposal.training == rung.training] for rung in strategy.rungs]
    assert [len(rung) for rung in by_rung] == [18, 6, 2]
    for lower, upper in pairwise(by_rung):
        ranked = sorted(lower, key=lambda trial: -trial.reward)
        promoted = {key_of(trial.point) for trial in upper}
        assert {key_of(trial.point) for trial in ranked[: len(upper)]} == promoted


def test_the_policy_is_a_distribution_over_the_points() -> None:
    torch.manual_seed(0)
    space = Ladder()
    policy = Policy(space, hidden=12)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(8)  # far from even
    points = all_points(space)
    with torch.no_grad():
        found = policy(*as_tensors(space, [dict(point) for point in points]))
    probabilities = found.log_probability.exp()
    assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-5)
    generator = torch.Generator().manual_seed(0)
    counts = dict.fromkeys(map(key_of, points), 0)
    for _ in range(800):
        counts[key_of(space.at(policy.sample(generator)))] += 1
    drawn = torch.tensor([counts[key_of(point)] / 800 for point in points])
    assert float((drawn - probabilities).abs().max()) < 0.06
    assert float(found.entropy.max()) <= math.log(3) + 1e-6


def test_ppo_takes_no_profit_from_moving_a_point_too_far() -> None:
    moved = torch.tensor([0.0, math.log(2.0), math.log(2.0), math.log(0.5), math.log(0.5)])
    advantages = torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0])
    each = [float(surrogate(m[None], a[None], 0.2)) for m, a in zip(moved, advantages, strict=True)]
    assert each == pytest.approx([1.0, 1.2, -2.0, 0.5, -0.8])


def test_the_controller_beats_random_search_on_a_space_with_a_known_optimum() -> None:
    ours, control = [], []
    for seed in range(5):
        space = ChainSpace(seed, length=10)
        controller = Controller(space, "mnasnet", ControllerSettings(hidden=32))
        for found, strategy in ((ours, controller), (control, RandomSearch(space))):
            trials = searched(strategy, space.evaluate, trials=100, seed=seed)
            found.append(max(trial.reward for trial in trials))
    assert wilcoxon(ours, control, alternative="greater").pvalue < 0.05


def test_nsga2_finds_a_better_front_than_random_search() -> None:
    areas: dict[str, list[float]] = {"nsga2": [], "random": []}
    for seed in range(3):
        space = ChainSpace(seed, length=10)
        for strategy in (Nsga2(space, 10), RandomSearch(space)):
            trials = searched(strategy, space.evaluate, trials=60, seed=seed)
            areas[strategy.name].append(hypervolume((t.evaluation.accuracy, t.evaluation.use) for t in trials))
    assert all(ours > control for ours, control in zip(areas["nsga2"], areas["random"], strict=True))


def test_the_ends_of_the_chain_are_those_of_all_points() -> None:
    space = ChainSpace(3, length=4, choices=3)
    found = [space.accuracy(point) for point in all_points(space)]
    assert (min(found), max(found)) == pytest.approx((0.0, 1.0))


def test_rewards_are_those_of_the_paper() -> None:
    assert ACCURACY.reward(0.8, 3.0) == 0.8
    assert SOFT.reward(0.8, 2.0) == pytest.approx(0.8 * 2**-0.07)
    assert SOFT.reward(0.8, 0.5) > 0.8
    # section 3: doubling the latency for 5 % more accuracy is about even
    assert SOFT.reward(1.05, 2.0) == pytest.approx(SOFT.reward(1.0, 1.0), abs=0.01)
    assert HARD.reward(0.8, 0.3) == 0.8
    assert HARD.reward(0.8, 1.6) == pytest.approx(0.5)
    assert Objective(0.0, -1.0, target=2.0).reward(0.8, 1.6) == 0.8
    with pytest.raises(UsageError, match="There is no reward 'speed'; choose accuracy, soft"):
        load_objective("speed")


def trial(number: int, accuracy: float, use: float, training: float = 1.0) -> Finished:
    return Finished(number, Proposal({"a": number}, training), Evaluation(accuracy, use), accuracy)


def test_fronts_areas_and_the_best() -> None:
    pairs = [(0.9, 0.8), (0.5, 0.2), (0.9, 0.9), (0.4, 0.3), (0.95, 1.5), (0.5, 0.2)]
    assert pareto_front(pairs) == [1, 0, 4]
    assert hypervolume(pairs) == pytest.approx(0.5 * 0.6 + 0.9 * 0.2)
    assert hypervolume([]) == 0.0
    assert best_so_far([0.1, 0.3, 0.2]) == [0.1, 0.3, 0.3]
    trials = [trial(0, 0.9, 0.8), trial(1, 0.95, 1.2), trial(2, 0.99, 0.5, training=0.3)]
    assert best(trials) == trials[0]
    assert best(trials, max_use=1.25) == trials[1]
    assert best(trials, max_use=0.1) == trials[0]
    assert best(trials[2:]) == trials[2]
    assert best([]) is None


def test_hypervolume_is_what_a_count_of_random_dots_says() -> None:
    rng = np.random.default_rng(0)
    pairs = [(float(a), float(u)) for a, u in rng.random((6, 2))]
    dots = rng.random((20000, 2))
    below = np.zeros(len(dots), dtype=bool)
    for accuracy, use in pairs:
        below |= (dots[:, 0] <= accuracy) & (dots[:, 1] >= use)
    assert hypervolume(pairs) == pytest.approx(below.mean(), abs=0.02)
