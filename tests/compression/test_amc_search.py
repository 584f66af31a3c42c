"""The agent and its search: it learns, keeps the bound, and goes on where it was stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pocketcnn.compression.pruning.amc import AmcResult, AmcSettings, UntrainedAccuracy, amc, follow
from pocketcnn.compression.pruning.amc.agent import Agent, AgentSettings, ReplayBuffer, Transition, truncated_normal
from pocketcnn.compression.pruning.amc.state import FEATURES
from pocketcnn.compression.pruning.resource import MADDS
from pocketcnn.compression.pruning.short_fine_tuning import HeldOutImages
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.models import create
from pocketcnn.training import train
from tests.support.automatic import SHORT, digits, made_up_accuracy, small_network, small_space
from tests.support.seeds import lower_bound

QUICK = AgentSettings(hidden=64, actor_rate=3e-4)


@pytest.fixture(scope="module")
def space() -> PruningSpace:
    return small_space(small_network().graph)


def search(space: PruningSpace, settings: AmcSettings, **options: object) -> AmcResult:
    bound = 0.5 * space.use(space.no_pruning)
    return amc(space, lambda counts: made_up_accuracy(space, counts), bound, settings, **options)  # type: ignore[arg-type]


def test_what_it_finds_keeps_the_bound_and_it_gets_better(space: PruningSpace) -> None:
    """The first 20 episodes of each search are drawn at random."""
    searches = [search(space, AmcSettings(warmup=20, episodes=60, seed=seed, agent=QUICK)) for seed in range(4)]
    for found in searches:
        assert found.policy.use == total_madds(space.prune(found.policy.counts)) <= 0.5 * space.use(space.no_pruning)
        assert found.policy.accuracy == pytest.approx(made_up_accuracy(space, found.policy.counts))
        assert len(found.episodes) == 60
        assert found.policy.accuracy - 1 >= max(episode.reward for episode in found.episodes)
    rewards = np.array([[episode.reward for episode in found.episodes] for found in searches])
    random, learned = rewards[:, :20].mean(1), np.array([found.learned.accuracy - 1 for found in searches])
    assert lower_bound(rewards[:, -20:].mean(1) - random) > 0.05
    assert lower_bound(learned - random) > 0.1  # the actor alone, without exploration


def test_a_seed_decides_all(space: PruningSpace) -> None:
    settings = AmcSettings(warmup=4, episodes=8, seed=3, agent=QUICK)
    assert search(space, settings).episodes == search(space, settings).episodes
    other = AmcSettings(warmup=4, episodes=8, seed=4, agent=QUICK)
    assert search(space, settings).episodes != search(space, other).episodes


def test_a_search_that_is_stopped_goes_on_to_the_same_end(space: PruningSpace, tmp_path: Path) -> None:
    agent = AgentSettings(hidden=16, updates=2)
    whole = search(space, AmcSettings(warmup=6, episodes=30, agent=agent))
    search(space, AmcSettings(warmup=6, episodes=20, agent=agent), store=tmp_path)
    rest = search(space, AmcSettings(warmup=6, episodes=30, agent=agent), store=tmp_path)
    assert rest.episodes == whole.episodes
    assert rest.policy == whole.policy
    assert rest.learned == whole.learned


def test_the_actor_that_was_learned_walks_within_another_bound(space: PruningSpace) -> None:
    found = search(space, AmcSettings(warmup=3, episodes=6, agent=QUICK))
    bound = 0.5 * space.use(space.no_pruning)

    def judge(counts: tuple[int, ...]) -> float:
        return made_up_accuracy(space, counts)

    assert follow(space, judge, bound, found.actor) == found.learned
    assert follow(space, judge, 0.6 * bound, found.actor).use <= 0.6 * bound


def test_all_transitions_of_an_episode_get_its_reward_less_a_moving_average() -> None:
    agent = Agent(3, 0.2, AgentSettings(hidden=8, baseline=0.5), seed=0)
    state = np.zeros(len(FEATURES), np.float32)
    for reward in (-1.0, -0.5):
        agent.remember([Transition(state, 0.5, state, last) for last in (False, False, True)], reward)
    assert agent.average == pytest.approx(-0.75)
    _, _, rewards, _, on = agent.memory.sample(64, np.random.default_rng(0))
    assert set(rewards.flatten().tolist()) == {-1.0, -0.5}
    assert 0 < float(on.mean()) < 1


def test_the_critic_learns_the_reward_less_the_baseline() -> None:
    agent = Agent(1, 0.2, AgentSettings(hidden=32, actor_rate=1e-3, baseline=0.0), seed=0)
    state, draw = np.full(len(FEATURES), 0.5, np.float32), np.random.default_rng(0)
    for _ in range(40):
        action = float(draw.uniform(0.2, 1.0))
        agent.remember([Transition(state, action, state, True)], -((action - 0.7) ** 2))
    agent.average = 0.0
    agent.learn(50)
    assert agent.act(state) == pytest.approx(0.7, abs=0.12)


def test_the_memory_forgets_the_oldest() -> None:
    memory = ReplayBuffer(4)
    state = np.zeros(len(FEATURES), np.float32)
    for number in range(6):
        memory.add([Transition(state, 0.5, state, True)], float(number))
    assert len(memory) == 4
    assert min(memory.state()["rewards"].tolist()) == 2.0


def test_exploration_stays_in_range_and_around_the_policy() -> None:
    draw = np.random.default_rng(0)
    found = np.array([truncated_normal(0.9, 0.5, 0.2, 1.0, draw) for _ in range(2000)])
    assert found.min() >= 0.2
    assert found.max() <= 1.0
    assert 0.55 < found.mean() < 0.75  # cut off above, so the mean lies below the mode
    near = np.array([truncated_normal(0.9, 0.02, 0.2, 1.0, draw) for _ in range(200)])
    assert abs(near.mean() - 0.9) < 0.01
    assert truncated_normal(1.4, 0.0, 0.2, 1.0, draw) == 1.0


@pytest.mark.parametrize("wrong", [{"warmup": 0}, {"warmup": 9, "episodes": 8}, {"min_ratio": 0.0}])
def test_settings_of_a_search_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        AmcSettings(**wrong)  # type: ignore[arg-type]


def test_on_real_images_a_repaired_network_is_judged_without_training() -> None:
    network, data, held_out = small_network(), digits(0, 960), digits(960, 1200)
    train(network, data, held_out, SHORT.with_(epochs=4, learning_rate=5e-3))
    space = small_space(network.graph)
    images, judged = data.tensors[0][:128], HeldOutImages.of(held_out, 240)
    counts = tuple(space.nearest_count(group, 0.25 * space.units(group)) for group in range(len(space.max_counts)))
    raw = judged.accuracy(GraphNetwork(space.prune(counts)))
    statistics = UntrainedAccuracy(space, judged, images)(counts)
    layers = UntrainedAccuracy(space, judged, images, repair="layers")(counts)
    assert statistics == UntrainedAccuracy(space, judged, images)(counts)
    assert raw < max(statistics, layers)
    assert layers > 0.5


def test_the_published_policy_of_mobilenet_v1_costs_what_its_channels_cost() -> None:
    """The list of mit-han-lab/amc-models, applied to MobileNetV1 by removal: 293.9 M multiply-adds, 51.7 % of the whole."""
    from pocketcnn.compression.pruning.meta_graph import MetaGraph
    from pocketcnn.graph import capture

    kept = (24, 48, 96, 80, 192, 200, 328, 352, 368, 360, 328, 400, 736, 752)
    torch.manual_seed(0)
    graph = capture(create("mobilenet_v1"), (1, 3, 224, 224))
    space = PruningSpace.of(graph, MADDS)
    assert len(space.prunable) == len(kept)
    counts = tuple(space.units(group) - width for group, width in zip(space.prunable, kept, strict=True))
    assert all(lost in space.choices[group] for group, lost in zip(space.prunable, counts, strict=True))
    assert space.use(space.no_pruning) == total_madds(MetaGraph.of(graph).graph) == 568_740_352
    assert space.use(counts) == total_madds(space.prune(counts)) == 293_870_000
