"""The search: episodes of an agent in the environment, the best policy kept, and the same call goes on where it was stopped."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketcnn.compression.pruning.amc.agent import Actor, Agent, AgentSettings, Transition
from pocketcnn.compression.pruning.amc.environment import LEAST, Evaluator, Policy, PruningEnvironment
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.training.checkpoint import load_newest, save_checkpoint

SAVED_EVERY = 10
"""Episodes between two checkpoints."""


@dataclass(frozen=True)
class AmcSettings:
    """How long, for what, and how.

    Attributes:
        warmup: episodes of any actions, before the agent learns; episodes: in all.
        reward: ``resource_constrained`` or ``accuracy_guaranteed``.
        least: the smallest share of a group that an action keeps.
        agent: of the learning.
    """

    warmup: int = 100
    episodes: int = 400
    reward: str = "resource_constrained"
    least: float = LEAST
    seed: int = 0
    agent: AgentSettings = field(default_factory=AgentSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.warmup <= self.episodes:
            raise UsageError("There is at least one episode of warm-up, and no more than episodes in all.")
        if not 0 < self.least < 1:
            raise UsageError(f"`least` lies between 0 and 1, not at {self.least}.")


@dataclass(frozen=True)
class Episode:
    """What one walk brought."""

    number: int
    reward: float
    accuracy: float
    use: float


@dataclass(frozen=True)
class AmcResult:
    """What a search found.

    Attributes:
        policy: the best of all episodes by reward.
        learned: what the trained actor does by itself, without exploring.
        actor: the trained actor.
        episodes: the course of the search.
    """

    policy: Policy
    learned: Policy
    actor: Actor
    episodes: tuple[Episode, ...]

    def save(self, folder: Path) -> None:
        """Leave ``policy.json`` in `folder`."""
        document = {
            "policy": self.policy.as_dict(),
            "learned": self.learned.as_dict(),
            "episodes": [asdict(episode) for episode in self.episodes],
        }
        write_text(folder / "policy.json", json.dumps(document, indent=1) + "\n")


def amc(
    space: PruningSpace,
    judge: Evaluator,
    bound: float | None,
    settings: AmcSettings | None = None,
    *,
    store: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AmcResult:
    """Learn how much of each channel group to keep. The network of the result is `space.cut(found.policy.counts)`.

    Args:
        space: of the network to narrow.
        judge: the accuracy of a narrowed network without fine-tuning (`UntrainedAccuracy`); asked once an episode.
        bound: what the network may use at most of the space's resource; None leaves that to the reward.
        store: a folder for checkpoints; the same call goes on from there.

    Raises:
        BudgetNotMet: not even the narrowest network keeps the bound.
        UsageError: there is nothing to prune, or the settings make no sense.
    """
    settings = settings or AmcSettings()
    environment = PruningEnvironment(space, judge, bound, settings.reward, settings.least)
    agent = Agent(len(space.movable), settings.least, settings.agent, settings.seed)
    course = _SearchState()
    if store is not None:
        course.restore(store, agent)
    while len(course.episodes) < settings.episodes:
        number = len(course.episodes) + 1
        learns = number > settings.warmup
        walk, reward, policy = _walk(environment, agent.explore if learns else lambda _: agent.wander())
        agent.remember(walk, reward)
        if learns:
            agent.learn(len(walk))
        course.add(Episode(number, reward, policy.accuracy, policy.use), policy)
        if number % SAVED_EVERY == 0 or number == settings.episodes:
            say(f"episode {number}: accuracy {policy.accuracy:.2%}, best {course.best_policy.accuracy:.2%}")
            if store is not None:
                course.save(store, agent)
    _, reward, learned = _walk(environment, agent.act)
    best = learned if reward >= course.best_reward else course.best_policy
    return AmcResult(best, learned, agent.actor, tuple(course.episodes))


def follow(space: PruningSpace, judge: Evaluator, bound: float | None, actor: Actor) -> Policy:
    """What a trained actor decides, within another bound, say; nothing is learned."""

    @torch.no_grad()
    def act(state: np.ndarray[Any, Any]) -> float:
        return float(actor(torch.from_numpy(state)[None]))

    return _walk(PruningEnvironment(space, judge, bound, least=actor.least), act)[2]


def _walk(environment: PruningEnvironment, act: Callable[[Any], float]) -> tuple[list[Transition], float, Policy]:
    """One episode: its transitions, its reward, and what was decided."""
    walk: list[Transition] = []
    done, reward, info = False, 0.0, dict[str, Any]()
    state, _ = environment.reset()
    while not done:
        action = act(state)
        following, reward, done, _, info = environment.step(np.array([action], np.float32))
        # as it was chosen, not as it was limited: else the critic would not know what actions beyond the limit bring
        walk.append(Transition(state, action, following, done))
        state = following
    return walk, reward, info["policy"]


@dataclass
class _SearchState:
    """The episodes so far, and the best policy."""

    episodes: list[Episode] = field(default_factory=list)
    best_reward: float = -float("inf")
    best: Policy | None = None

    @property
    def best_policy(self) -> Policy:
        """There must have been an episode."""
        assert self.best is not None
        return self.best

    def add(self, episode: Episode, policy: Policy) -> None:
        self.episodes.append(episode)
        if episode.reward > self.best_reward:
            self.best_reward, self.best = episode.reward, policy

    def save(self, store: Path, agent: Agent) -> None:
        told = {"episodes": [asdict(episode) for episode in self.episodes], "policy": self.best_policy.as_dict()}
        save_checkpoint(store, len(self.episodes), {"agent": agent.state_dict(), "course": json.dumps(told)})

    def restore(self, store: Path, agent: Agent) -> None:
        loaded = load_newest(store)
        if loaded is None:
            return
        told = json.loads(loaded.state["course"])
        agent.load_state_dict(loaded.state["agent"])
        self.episodes = [Episode(**fields) for fields in told["episodes"]]
        self.best = Policy.from_dict(told["policy"])
        self.best_reward = max(episode.reward for episode in self.episodes)
