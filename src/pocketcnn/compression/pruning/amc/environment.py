"""AMC as a gymnasium environment: each step prunes one channel group; the reward follows the last step."""

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
"""(accuracy of the pruned network, its use of the resource, the resource) -> reward."""


def resource_constrained(accuracy: float, use: float, resource: Resource) -> float:  # noqa: ARG001
    """-error. The limits on actions already enforce the bound on the resource (AMC, section 3.4)."""
    return accuracy - 1


def accuracy_guaranteed(accuracy: float, use: float, resource: Resource) -> float:
    """-error x log(use), for a search without a bound: the error dominates, with a small incentive to use less (section 3.4).

    The use is in quanta of the resource (one multiply-add, one nanosecond), so that its logarithm is positive.
    """
    return (accuracy - 1) * log(max(1.0, use / resource.quantum) + 1)


REWARDS: Mapping[str, Reward] = MappingProxyType(
    {"resource_constrained": resource_constrained, "accuracy_guaranteed": accuracy_guaranteed}
)


@dataclass(frozen=True)
class Policy:
    """The decisions of one episode, and their result.

    Attributes:
        counts: how many units each group loses.
        kept: for each prunable group, the layers that produce its channels and the share of the group that is kept.
        accuracy: without fine-tuning, on the images of the search.
        use: of the resource.
    """

    counts: Counts
    kept: tuple[tuple[tuple[str, ...], float], ...]
    accuracy: float
    use: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


try:
    import gymnasium
except ImportError as error:  # pragma: no cover
    raise MissingExtra("Automatic compression by AMC", "amc") from error

Evaluator = Callable[[Counts], float]
"""The accuracy on validation images, without fine-tuning, of the network pruned by these counts."""

MIN_RATIO = 0.2
"""The smallest share of a group that an action keeps, as in the authors' code."""


class PruningEnvironment(gymnasium.Env[Floats, Floats]):
    """Each step is one channel group, first layers first; the action is the share of the group to keep.

    Actions are limited so that the bound is met at the end of the episode. A group must lose enough that the bound can be met
    if all later groups lose as much as they can (the paper's algorithm 1). The paper adds up multiply-adds. Here the pruned
    network itself is evaluated, which works for any resource and any channel coupling. The reward comes with the last step,
    and `info["policy"]` then holds the `Policy`.

    Raises:
        BudgetNotMet: not even the smallest network meets the bound.
        UsageError: there is nothing to prune, or the reward is unknown.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        space: PruningSpace,
        evaluate: Evaluator,
        bound: float | None,
        reward: str = "resource_constrained",
        min_ratio: float = MIN_RATIO,
    ) -> None:
        if reward not in REWARDS:
            raise UsageError(f"There is no AMC reward {reward!r}; choose {' or '.join(REWARDS)}.")
        if not space.prunable:
            raise UsageError(
                f"This network has no channels that can be pruned.{why_frozen(space.graph, space.coupling)}"
            )
        self.space, self.evaluate, self.bound, self.reward = space, evaluate, bound, REWARDS[reward]
        self.encoder = StateEncoder(space)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (len(FEATURES),), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.min_ratio = min_ratio
        self._accuracies: dict[Counts, float] = {}
        self._start()
        smallest_use = space.use(space.max_counts)
        if bound is not None and smallest_use > bound:
            raise BudgetNotMet(
                f"Pruning cannot meet this bound: the smallest network uses {smallest_use:g} of {space.resource.name}, "
                f"{smallest_use / bound - 1:.1%} more than {bound:g}.{why_frozen(space.graph, space.coupling)} "
                "Lower `min_channels` or `floor`."
            )

    def _start(self) -> None:
        self.counts: Counts = self.space.no_pruning
        self.index = 0
        self.kept = 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Start an episode with the unpruned network, before its first group."""
        super().reset(seed=seed, options=options)
        self._start()
        return self._state(), {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Keep the share `action` (1,) of the current group, or less if the bound requires it.

        `info["kept"]` is the share that was kept.
        """
        group = self.space.prunable[self.index]
        share = float(np.clip(np.asarray(action).reshape(-1)[0], self.min_ratio, 1.0))
        requested = self.space.nearest_count(group, (1 - share) * self.space.units(group))
        lost = self._limit_count(group, requested)
        self.counts = with_count(self.counts, group, lost)
        self.kept = 1 - lost / self.space.units(group)
        self.index += 1
        info: dict[str, Any] = {"kept": self.kept}
        if self.index < len(self.space.prunable):
            return self._state(), 0.0, False, False, info
        self.index = len(self.space.prunable) - 1  # the final state is that of the last group
        info["policy"] = policy = self._policy()
        reward = self.reward(policy.accuracy, policy.use, self.space.resource)
        return self._state(), reward, True, False, info

    def _state(self) -> Floats:
        return np.clip(self.encoder.state(self.index, self.counts, self.kept), 0, 1)

    def _limit_count(self, group: int, requested: int) -> int:
        """`requested` units of `group`, or the smallest count with which later groups can still meet the bound."""
        if self.bound is None:
            return requested
        later = self.counts
        for other in self.space.prunable[self.index + 1 :]:
            later = with_count(later, other, self.space.max_counts[other])
        if self.space.use(with_count(later, group, requested)) <= self.bound:
            return requested
        required = self.space.min_count(group, later, self.bound)
        return self.space.max_counts[group] if required is None else required

    def _policy(self) -> Policy:
        counts = self.counts
        if counts not in self._accuracies:
            self._accuracies[counts] = self.evaluate(counts)
        kept = tuple(
            (self.space.layers(group), 1 - counts[group] / self.space.units(group)) for group in self.space.prunable
        )
        return Policy(counts, kept, self._accuracies[counts], self.space.use(counts))
