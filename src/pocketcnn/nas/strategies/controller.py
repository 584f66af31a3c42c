"""Reinforcement learning: a recurrent controller proposes networks and is trained on their rewards by PPO.

"Learning Transferable Architectures for Scalable Image Recognition" (Zoph et al., 2018), section 3 and appendix A, and
"MnasNet: Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019), section 4.2, use the same controller with
other spaces and rewards. PPO is "Proximal Policy Optimization Algorithms" (Schulman et al., 2017), equation 7, with an
entropy bonus.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketcnn.nas.space import Space
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.strategies.policy import Policy, as_tensors
from pocketcnn.nas.trial import Finished, History, Proposal, finished
from pocketcnn.training import drawn_from


@dataclass(frozen=True)
class ControllerSettings:
    """Hyperparameters of the controller.

    The papers use 8,000 to 20,000 trials, batches of 20, and a learning rate of 0.00035. With some hundred trials, smaller
    batches must teach more. Seven settings were compared on spaces with a known optimum. All reached about the same result;
    these were the fastest at first.

    Attributes:
        hidden: units of the LSTM.
        batch: finished trials per update.
        rate: learning rate of Adam.
        epochs: steps over a batch.
        clip: clipping range of PPO's probability ratio.
        entropy: weight of the mean entropy of a decision.
        baseline: decay of the moving average of rewards, the baseline.
    """

    hidden: int = 100
    batch: int = 10
    rate: float = 0.005
    epochs: int = 4
    clip: float = 0.3
    entropy: float = 0.1
    baseline: float = 0.8

    @classmethod
    def fitting(cls, trials: int) -> "ControllerSettings":
        """Settings for so many trials: batches small enough for several updates."""
        return cls(batch=max(4, min(cls.batch, trials // 15)))


class Controller(Strategy):
    """The controller. Its space and the reward of the search decide which paper it follows."""

    def __init__(self, space: Space, name: str, settings: ControllerSettings | None = None) -> None:
        super().__init__(space)
        self.name = name
        self.settings = settings or ControllerSettings()
        self._cached: tuple[int, list[Finished], Learner] | None = None

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        learner = self._learner_after(finished(history), seed)
        generator = torch.Generator().manual_seed(int(self.rng(seed, number).integers(2**62)))
        return Proposal(self.space.at(learner.policy.sample(generator)))

    def _learner_after(self, trials: list[Finished], seed: int) -> "Learner":
        """The learner after these trials; continued from the last call if the trials extend those seen there."""
        batch = self.settings.batch
        whole = trials[: len(trials) // batch * batch]
        if self._cached is None or self._cached[0] != seed or whole[: len(self._cached[1])] != self._cached[1]:
            self._cached = (seed, [], Learner(self.space, self.settings, seed))
        _, known, learner = self._cached
        for start in range(len(known), len(whole), batch):
            learner.learn(whole[start : start + batch])
        self._cached = (seed, whole, learner)
        return learner


class Learner:
    """A policy with its optimizer and reward baseline."""

    def __init__(self, space: Space, settings: ControllerSettings, seed: int) -> None:
        with drawn_from(seed):
            self.policy = Policy(space, settings.hidden)
        self.settings = settings
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.rate)
        self.mean: float | None = None
        self.variance = 0.0

    def learn(self, trials: list[Finished]) -> None:
        """One PPO update from a batch of trials."""
        indices, matters = as_tensors(self.policy.space, [dict(trial.point) for trial in trials])
        advantages = self._advantages([trial.reward for trial in trials])
        with torch.no_grad():
            before = self.policy(indices, matters).log_probability
        for _ in range(self.settings.epochs):
            now = self.policy(indices, matters)
            loss = -surrogate(now.log_probability - before, advantages, self.settings.clip)
            loss = loss - self.settings.entropy * now.entropy.mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _advantages(self, rewards: list[float]) -> Tensor:
        """Rewards minus the moving average, divided by their moving standard deviation."""
        found = torch.tensor(rewards, dtype=torch.float32)
        past = self.settings.baseline
        if self.mean is None:
            self.mean = float(found.mean())
            self.variance = float(found.var(unbiased=False))
        advantages = found - self.mean
        deviation = max(math.sqrt(self.variance), 1e-8)
        self.variance = past * self.variance + (1 - past) * float((found - self.mean).square().mean())
        self.mean = past * self.mean + (1 - past) * float(found.mean())
        return advantages / deviation


def surrogate(log_ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """PPO's clipped objective, to be maximized. `log_ratio` (N,) is the change of the log-probabilities."""
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    objective: Tensor = torch.minimum(ratio * advantages, clipped * advantages).mean()
    return objective
