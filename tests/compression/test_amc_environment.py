"""The environment: its states, its limited actions, its rewards."""

import random
from math import log

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.compression.pruning.amc.environment import (
    Policy,
    PruningEnvironment,
    accuracy_guaranteed,
    resource_constrained,
)
from pocketcnn.compression.pruning.amc.state import FEATURES
from pocketcnn.compression.pruning.prune import PruneSettings
from pocketcnn.compression.pruning.resource import MADDS, Resource
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.cost.counting import total_madds
from pocketcnn.documents import as_record
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.graph import GraphNetwork
from tests.support.automatic import made_up_accuracy, small_network, small_space
from tests.support.random_graphs import random_graph

Floats = np.ndarray


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return small_network()


@pytest.fixture(scope="module")
def space(network: GraphNetwork) -> PruningSpace:
    return small_space(network.graph)


def environment(space: PruningSpace, share: float | None, **options: object) -> PruningEnvironment:
    bound = None if share is None else share * space.use(space.no_pruning)
    return PruningEnvironment(space, lambda counts: made_up_accuracy(space, counts), bound, **options)  # type: ignore[arg-type]


def walk(env: PruningEnvironment, actions: list[float]) -> tuple[list[Floats], list[float], Policy]:
    """All states, all rewards, and the policy of an episode whose actions are repeated as needed."""
    state, _ = env.reset()
    states, rewards, done, info = [state], [], False, {}
    while not done:
        state, reward, done, truncated, info = env.step(np.array([actions[len(rewards) % len(actions)]], np.float32))
        assert not truncated
        states.append(state)
        rewards.append(reward)
    return states, rewards, info["policy"]


def test_it_is_an_environment_like_any_other(space: PruningSpace) -> None:
    check_env(environment(space, 0.5), skip_render_check=True)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(
        st.sampled_from(["shufflenet_v2", "inverted_residual", "fire", "residual", "split_attention", "dense"]),
        min_size=1,
        max_size=3,
    ),
    seed=st.integers(0, 10_000),
    tightness=st.floats(0.05, 1.0),
)
def test_any_actions_on_any_coupled_graph_keep_the_bound(kinds: list[str], seed: int, tightness: float) -> None:
    space = PruningSpace.of(random_graph(["conv", *kinds], seed), MADDS, PruneSettings(multiple=1, min_channels=1))
    narrowest, widest = space.use(space.max_counts), space.use(space.no_pruning)
    bound = narrowest + tightness * (widest - narrowest)
    env = PruningEnvironment(space, lambda _: 0.5, bound)
    draw = random.Random(seed)
    states, rewards, policy = walk(env, [draw.uniform(0.2, 1.0) for _ in range(7)])
    assert total_madds(space.prune(policy.counts)) == policy.use <= bound
    assert all(env.observation_space.contains(state) for state in states)
    assert len(rewards) == len(space.prunable)


def test_an_action_is_the_share_that_is_kept_as_long_as_the_bound_allows(space: PruningSpace) -> None:
    _, _, policy = walk(environment(space, 1.0), [0.5])
    assert [share for _, share in policy.kept] == [0.5, pytest.approx(0.5, abs=0.05), 0.5]
    _, _, greedy = walk(environment(space, 0.4), [1.0])
    assert greedy.use <= 0.4 * space.use(space.no_pruning)
    shares = [share for _, share in greedy.kept]
    assert shares[0] > shares[-1]  # the first keep all they can, the last pay for it


def test_limiting_takes_no_more_than_it_must(space: PruningSpace) -> None:
    """Whoever keeps all he may ends within one step of the last group below the bound."""
    env = environment(space, 0.5)
    _, _, policy = walk(env, [1.0])
    last = space.prunable[-1]
    choices = space.choices[last]
    place = choices.index(policy.counts[last])
    wider = (*policy.counts[:last], choices[max(0, place - 1)], *policy.counts[last + 1 :])
    assert place == 0 or space.use(wider) > env.bound  # type: ignore[operator]


def test_the_state_is_that_of_the_paper(space: PruningSpace, network: GraphNetwork) -> None:
    states, _, _ = walk(environment(space, 1.0), [0.5, 1.0, 1.0])
    index = {name: place for place, name in enumerate(FEATURES)}
    assert len(FEATURES) == 11
    first, second, third = states[:3]
    assert [state[index["t"]] for state in (first, second, third)] == [0, 0.5, 1]
    assert [state[index["n"]] for state in (first, second, third)] == [0, 1, 0.5]  # 16, 48, 32 channels
    assert [state[index["c"]] for state in (first, second, third)] == [
        0,
        1,
        1,
    ]  # the image has one channel, the others read 16
    assert [state[index["stride"]] for state in (first, second, third)] == [0, 0, 1]
    assert [state[index["k"]] for state in (first, second, third)] == [1, 0, 1]
    assert (first[index["reduced"]], first[index["a[t-1]"]]) == (0, 1)
    whole = space.use(space.no_pruning)
    narrowed = space.use((8, 0, 0))
    assert second[index["reduced"]] == pytest.approx(1 - narrowed / whole)
    assert second[index["a[t-1]"]] == 0.5
    assert first[index["rest"]] > second[index["rest"]] > third[index["rest"]] > 0


def test_the_reward_comes_at_the_end_and_is_minus_the_error(space: PruningSpace) -> None:
    _, rewards, policy = walk(environment(space, 0.7), [0.6])
    assert rewards[:-1] == [0.0] * (len(rewards) - 1)
    assert rewards[-1] == pytest.approx(made_up_accuracy(space, policy.counts) - 1)


def test_without_a_bound_nothing_is_limited_and_the_reward_weighs_the_cost(space: PruningSpace) -> None:
    _, rewards, whole = walk(environment(space, None, reward="accuracy_guaranteed"), [1.0])
    assert whole.counts == space.no_pruning
    assert rewards[-1] == pytest.approx(0, abs=1e-9)  # no error at all
    assert accuracy_guaranteed(0.9, 1e8, MADDS) < accuracy_guaranteed(0.9, 1e6, MADDS) < 0
    assert accuracy_guaranteed(0.91, 1e8, MADDS) > accuracy_guaranteed(0.9, 1e8, MADDS)
    assert accuracy_guaranteed(0.9, 1e6, MADDS) == pytest.approx(-0.1 * log(1e6 + 1))
    seconds = Resource("latency", lambda _: 0.0, quantum=1e-9)
    assert accuracy_guaranteed(0.9, 2e-3, seconds) < accuracy_guaranteed(0.9, 1e-3, seconds) < 0
    assert resource_constrained(0.9, 1.0, MADDS) == resource_constrained(0.9, 9.0, MADDS)


def test_a_policy_is_judged_once(space: PruningSpace) -> None:
    asked = []

    def judge(counts: tuple[int, ...]) -> float:
        asked.append(counts)
        return 0.5

    env = PruningEnvironment(space, judge, None)
    for _ in range(3):
        walk(env, [0.5])
    assert len(asked) == 1


def test_a_bound_out_of_reach_and_a_network_without_choices(space: PruningSpace, network: GraphNetwork) -> None:
    with pytest.raises(BudgetNotMet, match="the smallest network uses"):
        environment(space, 0.001)
    with pytest.raises(UsageError, match="no AMC reward"):
        environment(space, 0.5, reward="praise")
    keep = tuple(layer.node for layer in space.coupling.layers)
    whole = PruningSpace.of(network.graph, MADDS, PruneSettings(keep=keep))
    with pytest.raises(UsageError, match="no channels that can be pruned"):
        PruningEnvironment(whole, lambda _: 1.0, None)


def test_a_policy_comes_back_from_its_record(space: PruningSpace) -> None:
    _, _, policy = walk(environment(space, 0.5), [0.4])
    assert as_record(policy.as_dict(), Policy) == policy
