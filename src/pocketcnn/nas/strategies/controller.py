"""Search by reinforcement: a recurrent controller proposes networks, and learns from what they were worth by PPO.

"Learning Transferable Architectures for Scalable Image Recognition" (Zoph et al., 2018), section 3 and appendix A, and "MnasNet:
Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019), section 4.2: one controller, other spaces and
rewards. PPO is "Proximal Policy Optimization Algorithms" (Schulman et al., 2017), equation 7, with an entropy bonus.
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
    """How the controller learns.

    The papers' searches have 8,000 to 20,000 trials, batches of 20, and a learning rate of 0.00035. In some hundred trials a
    smaller batch must teach more. Of seven settings tried on spaces with a known optimum all came to about the same in the end;
    these were the quickest at first.

    Attributes:
        hidden: units of the LSTM.
        batch: finished trials for each update.
        rate: learning rate of Adam.
        epochs: steps over a batch.
        clip: how far PPO lets the probability of a point move in one update, as a ratio.
        entropy: weight of the mean entropy of a decision.
        baseline: weight of the past in the moving average of rewards, which a reward is compared with.
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
        """For so many trials: batches small enough for some updates."""
        return cls(batch=max(4, min(cls.batch, trials // 15)))


class Controller(Strategy):
    """The controller. Which paper's it is depends on its space and on the reward of the search."""

    def __init__(self, space: Space, name: str, settings: ControllerSettings | None = None) -> None:
        super().__init__(space)
        self.name = name
        self.settings = settings or ControllerSettings()
        self._learned: tuple[int, list[Finished], Learner] | None = None

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        learner = self._after(finished(history), seed)
        generator = torch.Generator().manual_seed(int(self.rng(seed, number).integers(2**62)))
        return Proposal(self.space.at(learner.policy.sample(generator)))

    def _after(self, trials: list[Finished], seed: int) -> "Learner":
        """The controller after these trials: taught from the start, or on from where it was if they are the same so far."""
        batch = self.settings.batch
        whole = trials[: len(trials) // batch * batch]
        if self._learned is None or self._learned[0] != seed or whole[: len(self._learned[1])] != self._learned[1]:
            self._learned = (seed, [], Learner(self.space, self.settings, seed))
        _, known, learner = self._learned
        for start in range(len(known), len(whole), batch):
            learner.learn(whole[start : start + batch])
        self._learned = (seed, whole, learner)
        return learner


class Learner:
    """A policy and what its training needs."""

    def __init__(self, space: Space, settings: ControllerSettings, seed: int) -> None:
        with drawn_from(seed):
            self.policy = Policy(space, settings.hidden)
        self.settings = settings
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.rate)
        self.mean: float | None = None
        self.variance = 0.0

    def learn(self, trials: list[Finished]) -> None:
        """One update of PPO from a batch of trials."""
        places, matters = as_tensors(self.policy.space, [dict(trial.point) for trial in trials])
        advantages = self._advantages([trial.reward for trial in trials])
        with torch.no_grad():
            before = self.policy(places, matters).log_probability
        for _ in range(self.settings.epochs):
            now = self.policy(places, matters)
            loss = -surrogate(now.log_probability - before, advantages, self.settings.clip)
            loss = loss - self.settings.entropy * now.entropy.mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _advantages(self, rewards: list[float]) -> Tensor:
        """Rewards above the moving average, in units of their moving deviation."""
        found = torch.tensor(rewards, dtype=torch.float32)
        past = self.settings.baseline
        if self.mean is None:
            self.mean = float(found.mean())
            self.variance = float(found.var(unbiased=False))
        advantages = found - self.mean
        spread = max(math.sqrt(self.variance), 1e-8)
        self.variance = past * self.variance + (1 - past) * float((found - self.mean).square().mean())
        self.mean = past * self.mean + (1 - past) * float(found.mean())
        return advantages / spread


def surrogate(moved: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """PPO's clipped objective, to be maximized: `moved` is by how much log-probabilities (N,) changed."""
    ratio = moved.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    worth: Tensor = torch.minimum(ratio * advantages, clipped * advantages).mean()
    return worth
