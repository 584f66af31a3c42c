"""The AMC search: episodes of an agent in the environment; the best policy is kept; an interrupted search can be resumed."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketcnn.compression.pruning.amc.agent import Actor, Agent, AgentSettings, Transition
from pocketcnn.compression.pruning.amc.environment import MIN_RATIO, Evaluator, Policy, PruningEnvironment
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.documents import as_record
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.training.checkpoint import load_newest, save_checkpoint

CHECKPOINT_INTERVAL = 10
"""Episodes between checkpoints."""


@dataclass(frozen=True)
class AmcSettings:
    """Settings of the AMC search.

    Attributes:
        warmup: episodes with random actions before the agent learns.
        episodes: total number of episodes, including the warm-up.
        reward: ``resource_constrained`` or ``accuracy_guaranteed``.
        min_ratio: the smallest share of a group that an action keeps.
        seed: of the agent and its exploration.
        agent: hyperparameters of the agent.
    """

    warmup: int = 100
    episodes: int = 400
    reward: str = "resource_constrained"
    min_ratio: float = MIN_RATIO
    seed: int = 0
    agent: AgentSettings = field(default_factory=AgentSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.warmup <= self.episodes:
            raise UsageError("`warmup` must be at least 1 and at most `episodes`.")
        if not 0 < self.min_ratio < 1:
            raise UsageError(f"`min_ratio` must be between 0 and 1, not {self.min_ratio}.")


@dataclass(frozen=True)
class Episode:
    """The result of one episode."""

    number: int
    reward: float
    accuracy: float
    use: float


@dataclass(frozen=True)
class AmcResult:
    """The result of an AMC search.

    Attributes:
        policy: the best of all episodes by reward.
        learned: the policy of the trained actor, without exploration.
        actor: the trained actor.
        episodes: all episodes in order.
    """

    policy: Policy
    learned: Policy
    actor: Actor
    episodes: tuple[Episode, ...]

    def save(self, folder: Path) -> None:
        """Write ``policy.json`` to `folder`."""
        document = {
            "policy": self.policy.as_dict(),
            "learned": self.learned.as_dict(),
            "episodes": [asdict(episode) for episode in self.episodes],
        }
        write_text(folder / "policy.json", json.dumps(document, indent=1) + "\n")


def amc(
    space: PruningSpace,
    evaluate: Evaluator,
    bound: float | None,
    settings: AmcSettings | None = None,
    *,
    store: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AmcResult:
    """Learn how much of each channel group to keep. The pruned network is `space.prune(found.policy.counts)`.

    Args:
        space: the pruning space of the network.
        evaluate: the accuracy of a pruned network without fine-tuning (`UntrainedAccuracy`); called once per episode.
        bound: the upper bound on the space's resource; None leaves the trade-off to the reward.
        settings: of the search and its agent.
        store: a folder for checkpoints. If it has some, the search is resumed.
        say: receives progress messages.

    Raises:
        BudgetNotMet: not even the smallest network meets the bound.
        UsageError: there is nothing to prune, or the settings are invalid.
    """
    settings = settings or AmcSettings()
    environment = PruningEnvironment(space, evaluate, bound, settings.reward, settings.min_ratio)
    agent = Agent(len(space.prunable), settings.min_ratio, settings.agent, settings.seed)
    state = _SearchState()
    if store is not None:
        state.restore(store, agent)
    while len(state.episodes) < settings.episodes:
        number = len(state.episodes) + 1
        learns = number > settings.warmup
        transitions, reward, policy = _run_episode(
            environment, agent.explore if learns else lambda _: agent.random_action()
        )
        agent.remember(transitions, reward)
        if learns:
            agent.learn(len(transitions))
        state.add(Episode(number, reward, policy.accuracy, policy.use), policy)
        if number % CHECKPOINT_INTERVAL == 0 or number == settings.episodes:
            say(f"episode {number}: accuracy {policy.accuracy:.2%}, best {state.best_policy.accuracy:.2%}")
            if store is not None:
                state.save(store, agent)
    _, reward, learned = _run_episode(environment, agent.act)
    best = learned if reward >= state.best_reward else state.best_policy
    return AmcResult(best, learned, agent.actor, tuple(state.episodes))


def follow(space: PruningSpace, evaluate: Evaluator, bound: float | None, actor: Actor) -> Policy:
    """The policy that a trained actor chooses, for example under another bound; nothing is learned."""

    @torch.no_grad()
    def act(state: np.ndarray[Any, Any]) -> float:
        return float(actor(torch.from_numpy(state)[None]))

    return _run_episode(PruningEnvironment(space, evaluate, bound, min_ratio=actor.min_ratio), act)[2]


def _run_episode(
    environment: PruningEnvironment, act: Callable[[Any], float]
) -> tuple[list[Transition], float, Policy]:
    """Run one episode; return its transitions, its reward and its policy."""
    transitions: list[Transition] = []
    done, reward, info = False, 0.0, dict[str, Any]()
    state, _ = environment.reset()
    while not done:
        action = act(state)
        following, reward, done, _, info = environment.step(np.array([action], np.float32))
        # store the chosen action, not the limited one: the critic must learn the value of actions beyond the limit
        transitions.append(Transition(state, action, following, done))
        state = following
    return transitions, reward, info["policy"]


@dataclass(frozen=True)
class _Course:
    """The record in a checkpoint: all episodes, and the best policy."""

    episodes: tuple[Episode, ...]
    policy: Policy


@dataclass
class _SearchState:
    """The episodes so far, and the best policy."""

    episodes: list[Episode] = field(default_factory=list)
    best_reward: float = -float("inf")
    best: Policy | None = None

    @property
    def best_policy(self) -> Policy:
        """The best policy; at least one episode must have run."""
        assert self.best is not None
        return self.best

    def add(self, episode: Episode, policy: Policy) -> None:
        self.episodes.append(episode)
        if episode.reward > self.best_reward:
            self.best_reward, self.best = episode.reward, policy

    def save(self, store: Path, agent: Agent) -> None:
        document = {"episodes": [asdict(episode) for episode in self.episodes], "policy": self.best_policy.as_dict()}
        save_checkpoint(store, len(self.episodes), {"agent": agent.state_dict(), "course": json.dumps(document)})

    def restore(self, store: Path, agent: Agent) -> None:
        loaded = load_newest(store)
        if loaded is None:
            return
        try:
            course: _Course = as_record(json.loads(loaded.state["course"]), _Course)
            agent.load_state_dict(loaded.state["agent"])
            self.best_reward = max(episode.reward for episode in course.episodes)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UsageError(
                f"The checkpoint {loaded.path} is not one of a search by AMC: {error}. Remove the folder {store} to start again."
            ) from error
        self.episodes, self.best = list(course.episodes), course.policy
