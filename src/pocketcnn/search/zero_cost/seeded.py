"""Any strategy, started from the points that a zero-cost proxy holds to be the most promising of many.

"Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al., 2021): warm-up of a search by a proxy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.search.space import Point, Space, Task, key_of
from pocketcnn.search.strategies.base import Strategy
from pocketcnn.search.supernet.network import at_size
from pocketcnn.search.trial import History, Proposal
from pocketcnn.search.zero_cost.proxies import proxy
from pocketcnn.training import drawn_from

TRIES = 50
"""How often a point is drawn for each that is wanted, before fewer must do."""


@dataclass(frozen=True)
class Warmup:
    """How a search is started.

    Attributes:
        proxy: its name.
        points: how many trials it chooses.
        drawn: of how many random points it chooses them.
    """

    proxy: str = "synflow"
    points: int = 8
    drawn: int = 100

    def __post_init__(self) -> None:
        proxy(self.proxy)
        if not 1 <= self.points <= self.drawn:
            raise UsageError("A warm-up chooses one point or more, and at most as many as it draws.")


class Seeded(Strategy):
    """`strategy`, whose first trials are the points that the proxy ranks highest; from there on it goes its own way.

    Args:
        task, images, labels: what the networks are for, and a batch of it, (N, C, H, W) and (N,).
        keeps: whether a point is worth drawing, such as one that keeps the budget. Proxies favour large networks.
    """

    def __init__(
        self,
        strategy: Strategy,
        warmup: Warmup,
        task: Task,
        images: Tensor,
        labels: Tensor,
        keeps: Callable[[Point], bool] = lambda _: True,
    ) -> None:
        super().__init__(strategy.space)
        self.name = f"{strategy.name}, warmed up by {warmup.proxy}"
        self.strategy, self.warmup, self.task = strategy, warmup, task
        self.images, self.labels, self.keeps = images, labels, keeps
        self._chosen: dict[int, list[Point]] = {}  # by seed; it would be found again the same

    def trials(self, evaluations: int) -> int:
        return self.strategy.trials(evaluations)

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        proposal = self.strategy.propose(history, seed, number)
        if number >= self.warmup.points:
            return proposal
        chosen = self._best(seed)
        return replace(proposal, point=chosen[number]) if number < len(chosen) else proposal

    def _best(self, seed: int) -> Sequence[Point]:
        if seed not in self._chosen:
            points = _drawn(self.space, self.warmup.drawn, self.keeps, self.rng(seed, 0))
            scores = [self._score(point, seed) for point in points]
            order = sorted(range(len(points)), key=lambda place: scores[place], reverse=True)
            self._chosen[seed] = [points[place] for place in order[: self.warmup.points]]
        return self._chosen[seed]

    def _score(self, point: Point, seed: int) -> float:
        with drawn_from(seed):
            network = self.space.build(point, self.task)
        shown = at_size(self.images, self.space.input_size(point, self.task))
        return proxy(self.warmup.proxy)(network, shown, self.labels)


def _drawn(space: Space, number: int, keeps: Callable[[Point], bool], rng: np.random.Generator) -> list[Point]:
    """Different random points that are worth it, as far as there are any."""
    found: dict[tuple[tuple[str, object], ...], Point] = {}
    for _ in range(TRIES * number):
        if len(found) == number:
            break
        point = space.random(rng)
        if key_of(point) not in found and keeps(point):
            found[key_of(point)] = point
    return list(found.values())
