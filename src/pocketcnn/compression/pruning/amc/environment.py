"""Pruning a network group by group as a gymnasium environment: actions, the resulting policy, and its reward (AMC)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import log
from types import MappingProxyType
from typing import Any

import numpy as np

from pocketcnn.compression.coupling import why_frozen
from pocketcnn.compression.pruning.amc.state import FEATURES, Floats, StateEncoder
from pocketcnn.compression.pruning.resource import Resource
from pocketcnn.compression.pruning.schedule import Counts
from pocketcnn.compression.pruning.space import PruningSpace, with_count
from pocketcnn.errors import BudgetNotMet, MissingExtra, UsageError

Reward = Callable[[float, float, Resource], float]
"""From the accuracy of the narrowed network, what it uses, and the resource."""


def resource_constrained(accuracy: float, use: float, resource: Resource) -> float:  # noqa: ARG001
    """-error: the limits on actions already hold the network to its bound."""
    return accuracy - 1


def accuracy_guaranteed(accuracy: float, use: float, resource: Resource) -> float:
    """-error x log(use): sensitive to the error, with a small incentive to use less. For a search without a bound.

    The use is counted in quanta of the resource (single multiply-adds, nanoseconds), so that its logarithm is positive.
    """
    return (accuracy - 1) * log(max(1.0, use / resource.quantum) + 1)


REWARDS: Mapping[str, Reward] = MappingProxyType(
    {"resource_constrained": resource_constrained, "accuracy_guaranteed": accuracy_guaranteed}
)


@dataclass(frozen=True)
class Policy:
    """What one walk through the network decided, and what came of it.

    Attributes:
        counts: how many units each group of the space loses.
        kept: the layers that make the channels of each group that could lose any, and the share of the group that is kept.
        accuracy: without fine-tuning, on the images that the search looked at.
        use: of the resource.
    """

    counts: Counts
    kept: tuple[tuple[tuple[str, ...], float], ...]
    accuracy: float
    use: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON wants them."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Policy":
        """What `as_dict` gave."""
        kept = tuple((tuple(layers), float(share)) for layers, share in fields["kept"])
        return cls(tuple(fields["counts"]), kept, float(fields["accuracy"]), float(fields["use"]))


try:
    import gymnasium
except ImportError as error:  # pragma: no cover
    raise MissingExtra("Automatic compression by AMC", "amc") from error

Evaluator = Callable[[Counts], float]
"""The accuracy of the network that the groups of the space have so narrowed, on validation images, without fine-tuning."""

LEAST = 0.2
"""No action keeps a smaller share of a group, as in the authors' code."""


class PruningEnvironment(gymnasium.Env[Floats, Floats]):
    """One step is one channel group of the network, first layers first; its action is the share of the group to keep.

    Actions are limited so that the bound is always kept at the end: a group must lose at least what would still be too
    much if all later groups lost all they can (the paper's algorithm 1, which adds up multiply-adds; here the network is
    really narrowed and its use asked for, so that it holds for any resource and however channels are coupled). The reward
    comes with the last step; `info` then has the `Policy`.

    Raises:
        BudgetNotMet: not even the narrowest network keeps the bound.
        UsageError: there is nothing to prune, or no such reward.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        space: PruningSpace,
        judge: Evaluator,
        bound: float | None,
        reward: str = "resource_constrained",
        least: float = LEAST,
    ) -> None:
        if reward not in REWARDS:
            raise UsageError(f"There is no reward {reward!r}; choose {' or '.join(REWARDS)}.")
        if not space.movable:
            raise UsageError(
                f"This network has no channels that can be removed.{why_frozen(space.graph, space.coupling)}"
            )
        self.space, self.judge, self.bound, self.reward = space, judge, bound, REWARDS[reward]
        self.encoder = StateEncoder(space)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (len(FEATURES),), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.least = least
        self._judged: dict[Counts, float] = {}
        self._start()
        narrowest = space.use(space.most)
        if bound is not None and narrowest > bound:
            raise BudgetNotMet(
                f"Pruning cannot keep this bound: the narrowest network uses {narrowest:g} of {space.resource.name}, "
                f"{narrowest / bound - 1:.1%} more than {bound:g}.{why_frozen(space.graph, space.coupling)} "
                "Lower `min_channels` or `floor`."
            )

    def _start(self) -> None:
        self.counts: Counts = self.space.none
        self.place = 0
        self.kept = 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """The unpruned network, before its first group."""
        super().reset(seed=seed, options=options)
        self._start()
        return self._state(), {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Keep the share `action` (1,) of the present group, or less if the bound asks for it.

        `info["kept"]` is the share that was really kept.
        """
        group = self.space.movable[self.place]
        share = float(np.clip(np.asarray(action).reshape(-1)[0], self.least, 1.0))
        wanted = self.space.nearest(group, (1 - share) * self.space.units(group))
        lost = self._limited(group, wanted)
        self.counts = with_count(self.counts, group, lost)
        self.kept = 1 - lost / self.space.units(group)
        self.place += 1
        info: dict[str, Any] = {"kept": self.kept}
        if self.place < len(self.space.movable):
            return self._state(), 0.0, False, False, info
        self.place = len(self.space.movable) - 1  # the state after the end is that of the last group
        info["policy"] = policy = self._policy()
        reward = self.reward(policy.accuracy, policy.use, self.space.resource)
        return self._state(), reward, True, False, info

    def _state(self) -> Floats:
        return np.clip(self.encoder.state(self.place, self.counts, self.kept), 0, 1)

    def _limited(self, group: int, wanted: int) -> int:
        """`wanted` units of `group`, or the fewest that it must lose for the bound to stay within reach."""
        if self.bound is None:
            return wanted
        ahead = self.counts
        for other in self.space.movable[self.place + 1 :]:
            ahead = with_count(ahead, other, self.space.most[other])
        if self.space.use(with_count(ahead, group, wanted)) <= self.bound:
            return wanted
        needed = self.space.fewest(group, ahead, self.bound)
        return self.space.most[group] if needed is None else needed

    def _policy(self) -> Policy:
        counts = self.counts
        if counts not in self._judged:
            self._judged[counts] = self.judge(counts)
        kept = tuple(
            (self.space.layers(group), 1 - counts[group] / self.space.units(group)) for group in self.space.movable
        )
        return Policy(counts, kept, self._judged[counts], self.space.use(counts))
