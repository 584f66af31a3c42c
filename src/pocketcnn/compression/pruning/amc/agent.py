"""The agent of AMC: deep deterministic policy gradient (Lillicrap et al., 2016) with the changes of AMC, section 3.3.

The DDPG of stable-baselines3 supports three of these changes only if its parts are replaced. The reward of an episode is
known at its end and applies to all its transitions. A moving average of the reward is subtracted when a batch is drawn.
Exploration uses a normal distribution truncated to the range of actions. This file is the remaining algorithm.
"""

import json
from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.compression.pruning.amc.state import FEATURES, Floats
from pocketcnn.training.rng import drawn_from


@dataclass(frozen=True)
class AgentSettings:
    """Hyperparameters of the agent: from the paper, or from the authors' code (mit-han-lab/amc) where the paper gives none.

    Only `updates` differs. The authors' code makes one update per transition in 800 episodes. With a tenth of the episodes,
    the critic would learn too little about the limits on actions, and the actor would stay at the edge of their range.

    Attributes:
        hidden: width of the two hidden layers of actor and critic.
        actor_rate, critic_rate: learning rates of Adam.
        discount: discount factor of later rewards.
        soft_update: share of the target networks that each update replaces (tau).
        updates: updates of actor and critic per new transition.
        batch: transitions per update.
        memory: capacity of the replay buffer, in transitions per step of an episode.
        noise: standard deviation of the exploration.
        noise_decay: factor on `noise` after each learning episode.
        baseline: weight of the newest episode in the moving average of the rewards.
    """

    hidden: int = 300
    actor_rate: float = 1e-4
    critic_rate: float = 1e-3
    discount: float = 1.0
    soft_update: float = 0.01
    updates: int = 8
    batch: int = 64
    memory: int = 100
    noise: float = 0.5
    noise_decay: float = 0.95
    baseline: float = 0.5


class Transition(NamedTuple):
    """A state, the action taken, the next state, and whether the episode ended there."""

    state: Floats
    action: float
    following: Floats
    last: bool


class Actor(nn.Module):
    """States (N, features) -> actions (N, 1) from `min_ratio` to 1."""

    def __init__(self, hidden: int, min_ratio: float) -> None:
        super().__init__()
        self.min_ratio = min_ratio
        self.layers = nn.Sequential(
            nn.Linear(len(FEATURES), hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        _init_output_layer(self.layers[-1])

    def forward(self, states: Tensor) -> Tensor:
        return self.min_ratio + (1 - self.min_ratio) * torch.sigmoid(self.layers(states))


class Critic(nn.Module):
    """States (N, features) and actions (N, 1) -> values (N, 1)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.of_state, self.of_action = nn.Linear(len(FEATURES), hidden), nn.Linear(1, hidden)
        self.layers = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        _init_output_layer(self.layers[-1])

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        values: Tensor = self.layers(self.of_state(states) + self.of_action(actions))
        return values


def _init_output_layer(layer: nn.Module) -> None:
    """Initialize near zero, as in the DDPG paper, section 7."""
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -3e-3, 3e-3)


@dataclass
class ReplayBuffer:
    """The newest transitions, each with the reward of its episode."""

    capacity: int
    _transitions: deque[tuple[Transition, float]] = field(init=False)
    _stacked: tuple[Tensor, ...] | None = field(
        init=False, default=None
    )  # cache of `_stack`, until transitions are added

    def __post_init__(self) -> None:
        self._transitions = deque(maxlen=self.capacity)

    def __len__(self) -> int:
        return len(self._transitions)

    def add(self, episode: list[Transition], reward: float) -> None:
        """Store an episode."""
        self._stacked = None
        self._transitions.extend((transition, reward) for transition in episode)

    def sample(self, count: int, draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Draw `count` transitions: states, actions, rewards, next states, and 1 where the episode continued; (N, ·) each."""
        indices = torch.from_numpy(draw.integers(len(self._transitions), size=count))
        if self._stacked is None:
            self._stacked = self._stack()
        states, actions, rewards, following, continues = (column[indices] for column in self._stacked)
        return states, actions, rewards, following, continues

    def _stack(self) -> tuple[Tensor, ...]:
        transitions, rewards = zip(*self._transitions, strict=True)
        plain = (
            [item.action for item in transitions],
            rewards,
            [float(not item.last) for item in transitions],
        )
        actions, gained, continues = (torch.tensor(values, dtype=torch.float32)[:, None] for values in plain)
        states = torch.from_numpy(np.stack([item.state for item in transitions]))
        following = torch.from_numpy(np.stack([item.following for item in transitions]))
        return states, actions, gained, following, continues

    def state(self) -> dict[str, Tensor]:
        """The contents as tensors."""
        if not self._transitions:
            return {}
        transitions, rewards = zip(*self._transitions, strict=True)
        return {
            "states": torch.from_numpy(np.stack([item.state for item in transitions])),
            "actions": torch.tensor([item.action for item in transitions], dtype=torch.float64),
            "following": torch.from_numpy(np.stack([item.following for item in transitions])),
            "last": torch.tensor([item.last for item in transitions]),
            "rewards": torch.tensor(rewards, dtype=torch.float64),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self._stacked = None
        self._transitions.clear()
        if state:
            states, following = state["states"].numpy(), state["following"].numpy()
            plain = zip(*(state[name].tolist() for name in ("actions", "last", "rewards")), strict=True)
            for index, (action, last, reward) in enumerate(plain):
                self._transitions.append((Transition(states[index], action, following[index], last), reward))


class Agent:
    """The DDPG agent: acts, stores episodes and learns. Deterministic for a seed."""

    def __init__(self, steps: int, min_ratio: float, settings: AgentSettings, seed: int) -> None:
        """`steps` is the length of an episode, `min_ratio` the smallest action."""
        self.settings, self.min_ratio = settings, min_ratio
        self.draw = np.random.default_rng(seed)
        with drawn_from(seed):
            self.actor, self.critic = Actor(settings.hidden, min_ratio), Critic(settings.hidden)
        self.actor_target, self.critic_target = deepcopy(self.actor), deepcopy(self.critic)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), settings.actor_rate, fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), settings.critic_rate, fused=True)
        self.memory = ReplayBuffer(settings.memory * steps)
        self.noise = settings.noise
        self.average: float | None = None  # of the rewards

    @torch.no_grad()
    def act(self, state: Floats) -> float:
        """The action of the policy in `state` (features,)."""
        return float(self.actor(torch.from_numpy(state)[None]))

    def explore(self, state: Floats) -> float:
        """An action of the policy with exploration noise."""
        return truncated_normal(self.act(state), self.noise, self.min_ratio, 1.0, self.draw)

    def random_action(self) -> float:
        """A uniformly distributed action, for the warm-up."""
        return float(self.draw.uniform(self.min_ratio, 1.0))

    def remember(self, episode: list[Transition], reward: float) -> None:
        """Store an episode with its reward, and update the baseline."""
        self.memory.add(episode, reward)
        weight = self.settings.baseline
        self.average = reward if self.average is None else (1 - weight) * self.average + weight * reward

    def learn(self, transitions: int) -> None:
        """Update critic and actor for some new transitions; then reduce the exploration noise."""
        for _ in range(self.settings.updates * transitions):
            self._update()
        self.noise *= self.settings.noise_decay

    def _update(self) -> None:
        states, actions, rewards, following, continues = self.memory.sample(self.settings.batch, self.draw)
        with torch.no_grad():
            next_values = self.critic_target(following, self.actor_target(following))
            values = rewards - (self.average or 0.0) + self.settings.discount * continues * next_values
        self._step(self.critic_optimizer, F.mse_loss(self.critic(states, actions), values))
        self._step(self.actor_optimizer, -self.critic(states, self.actor(states)).mean())
        for network, target in ((self.actor, self.actor_target), (self.critic, self.critic_target)):
            _soft_update(target, network, self.settings.soft_update)

    @staticmethod
    def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]  # the actor's step must not change the critic
        optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """The whole state of the agent, as tensors and plain values."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        rng = json.dumps(self.draw.bit_generator.state)  # JSON, because its integers are too long for a tensor
        return {**parts, "memory": self.memory.state(), "noise": self.noise, "average": self.average, "rng": rng}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.memory.load(state["memory"])
        self.noise, self.average = state["noise"], state["average"]
        self.draw.bit_generator.state = json.loads(state["rng"])


_PARTS = ("actor", "critic", "actor_target", "critic_target", "actor_optimizer", "critic_optimizer")


@torch.no_grad()
def _soft_update(target: nn.Module, network: nn.Module, share: float) -> None:
    torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), share)


def truncated_normal(mean: float, deviation: float, low: float, high: float, draw: np.random.Generator) -> float:
    """Draw from the normal distribution of `mean` and `deviation`, truncated to `low` … `high`."""
    if deviation < 1e-6:
        return min(high, max(low, mean))
    normal = NormalDist(mean, deviation)
    share = draw.uniform(normal.cdf(low), normal.cdf(high))
    return min(high, max(low, normal.inv_cdf(min(1 - 1e-12, max(1e-12, share)))))
