"""The agent: deep deterministic policy gradient (Lillicrap et al., 2016) with the changes of the AMC paper, section 3.3.

Three of them cannot be told to the DDPG of stable-baselines3 without replacing its parts: the reward of an episode is known at
its end and is that of all its transitions, a moving average of it is subtracted when a batch is drawn, and actions are
explored by a normal distribution truncated to their range. What is left of the algorithm is this file.
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
    """Of the paper where it says them, of the authors' code (mit-han-lab/amc) elsewhere, but for the number of updates.

    That code makes one for each transition and walks 800 times. In a tenth of the walks the critic would learn too little of
    what the limits on actions do, and the actor would stay at the edge of their range.

    Attributes:
        hidden: width of the two hidden layers of actor and critic.
        actor_rate, critic_rate: learning rates of Adam; discount: of later rewards; soft_update: share of the target networks
            that each update replaces.
        updates: of actor and critic for each new transition; batch: transitions in an update; memory: transitions that are
            remembered for each step of an episode.
        noise: deviation of the exploration; noise_decay: what is left of it after each episode that learned.
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
    """A state, the action in it, the state that it led to, and whether the episode ended there."""

    state: Floats
    action: float
    following: Floats
    last: bool


class Actor(nn.Module):
    """States (N, features) -> actions (N, 1) from `least` to 1."""

    def __init__(self, hidden: int, least: float) -> None:
        super().__init__()
        self.least = least
        self.layers = nn.Sequential(
            nn.Linear(len(FEATURES), hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        _start_small(self.layers[-1])

    def forward(self, states: Tensor) -> Tensor:
        return self.least + (1 - self.least) * torch.sigmoid(self.layers(states))


class Critic(nn.Module):
    """States (N, features) and actions (N, 1) -> values (N, 1)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.of_state, self.of_action = nn.Linear(len(FEATURES), hidden), nn.Linear(1, hidden)
        self.layers = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        _start_small(self.layers[-1])

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        values: Tensor = self.layers(self.of_state(states) + self.of_action(actions))
        return values


def _start_small(layer: nn.Module) -> None:
    """The first values are near zero, as in the DDPG paper, section 7."""
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -3e-3, 3e-3)


@dataclass
class ReplayBuffer:
    """The newest transitions, each with the reward of its episode."""

    most: int
    _held: deque[tuple[Transition, float]] = field(init=False)
    _columns: tuple[Tensor, ...] | None = field(init=False, default=None)  # of all that is held, until more is added

    def __post_init__(self) -> None:
        self._held = deque(maxlen=self.most)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, episode: list[Transition], reward: float) -> None:
        """Remember an episode."""
        self._columns = None
        self._held.extend((transition, reward) for transition in episode)

    def drawn(self, count: int, draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """`count` of them at random: states, actions, rewards, following states, 1 where the episode went on; (N, ·) each."""
        places = torch.from_numpy(draw.integers(len(self._held), size=count))
        if self._columns is None:
            self._columns = self._stacked()
        states, actions, rewards, following, on = (column[places] for column in self._columns)
        return states, actions, rewards, following, on

    def _stacked(self) -> tuple[Tensor, ...]:
        transitions, rewards = zip(*self._held, strict=True)
        plain = (
            [item.action for item in transitions],
            rewards,
            [float(not item.last) for item in transitions],
        )
        actions, gained, on = (torch.tensor(values, dtype=torch.float32)[:, None] for values in plain)
        states = torch.from_numpy(np.stack([item.state for item in transitions]))
        following = torch.from_numpy(np.stack([item.following for item in transitions]))
        return states, actions, gained, following, on

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors."""
        if not self._held:
            return {}
        transitions, rewards = zip(*self._held, strict=True)
        return {
            "states": torch.from_numpy(np.stack([item.state for item in transitions])),
            "actions": torch.tensor([item.action for item in transitions], dtype=torch.float64),
            "following": torch.from_numpy(np.stack([item.following for item in transitions])),
            "last": torch.tensor([item.last for item in transitions]),
            "rewards": torch.tensor(rewards, dtype=torch.float64),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        self._columns = None
        self._held.clear()
        if state:
            states, following = state["states"].numpy(), state["following"].numpy()
            plain = zip(*(state[name].tolist() for name in ("actions", "last", "rewards")), strict=True)
            for place, (action, last, reward) in enumerate(plain):
                self._held.append((Transition(states[place], action, following[place], last), reward))


class Agent:
    """Acts, remembers and learns. The same for a seed."""

    def __init__(self, steps: int, least: float, settings: AgentSettings, seed: int) -> None:
        """`steps` is the length of an episode, `least` the smallest action."""
        self.settings, self.least = settings, least
        self.draw = np.random.default_rng(seed)
        with drawn_from(seed):
            self.actor, self.critic = Actor(settings.hidden, least), Critic(settings.hidden)
        self.actor_target, self.critic_target = deepcopy(self.actor), deepcopy(self.critic)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), settings.actor_rate, fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), settings.critic_rate, fused=True)
        self.memory = ReplayBuffer(settings.memory * steps)
        self.noise = settings.noise
        self.average: float | None = None  # of the rewards

    @torch.no_grad()
    def act(self, state: Floats) -> float:
        """What the policy does in `state` (features,)."""
        return float(self.actor(torch.from_numpy(state)[None]))

    def explore(self, state: Floats) -> float:
        """An action around that of the policy."""
        return truncated_normal(self.act(state), self.noise, self.least, 1.0, self.draw)

    def wander(self) -> float:
        """Any action, all alike: the warm-up."""
        return float(self.draw.uniform(self.least, 1.0))

    def remember(self, episode: list[Transition], reward: float) -> None:
        """All transitions of an episode get its reward; the baseline moves towards it."""
        self.memory.add(episode, reward)
        weight = self.settings.baseline
        self.average = reward if self.average is None else (1 - weight) * self.average + weight * reward

    def learn(self, transitions: int) -> None:
        """The updates of critic and actor for some new transitions; then explore a little less."""
        for _ in range(self.settings.updates * transitions):
            self._update()
        self.noise *= self.settings.noise_decay

    def _update(self) -> None:
        states, actions, rewards, following, on = self.memory.drawn(self.settings.batch, self.draw)
        with torch.no_grad():
            ahead = self.critic_target(following, self.actor_target(following))
            values = rewards - (self.average or 0.0) + self.settings.discount * on * ahead
        self._step(self.critic_optimizer, F.mse_loss(self.critic(states, actions), values))
        self._step(self.actor_optimizer, -self.critic(states, self.actor(states)).mean())
        for network, target in ((self.actor, self.actor_target), (self.critic, self.critic_target)):
            _follow(target, network, self.settings.soft_update)

    @staticmethod
    def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]  # not the critic's in the actor's step
        optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Everything that what follows depends on, as tensors and plain values."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        rng = json.dumps(self.draw.bit_generator.state)  # its integers are too long for a tensor
        return {**parts, "memory": self.memory.state(), "noise": self.noise, "average": self.average, "rng": rng}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """What `state_dict` gave."""
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.memory.load(state["memory"])
        self.noise, self.average = state["noise"], state["average"]
        self.draw.bit_generator.state = json.loads(state["rng"])


_PARTS = ("actor", "critic", "actor_target", "critic_target", "actor_optimizer", "critic_optimizer")


@torch.no_grad()
def _follow(target: nn.Module, network: nn.Module, share: float) -> None:
    torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), share)


def truncated_normal(mean: float, deviation: float, low: float, high: float, draw: np.random.Generator) -> float:
    """A draw from the normal distribution of `mean` and `deviation`, given that it lies between `low` and `high`."""
    if deviation < 1e-6:
        return min(high, max(low, mean))
    normal = NormalDist(mean, deviation)
    share = draw.uniform(normal.cdf(low), normal.cdf(high))
    return min(high, max(low, normal.inv_cdf(min(1 - 1e-12, max(1e-12, share)))))
