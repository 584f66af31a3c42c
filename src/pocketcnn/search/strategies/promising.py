"""Any strategy, begun with points that are promising already: the best of many random ones by a zero-cost proxy, say.

"Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al., 2021), section 5, warms up evolution and controllers so.
"""

from collections.abc import Sequence
from dataclasses import replace

from pocketcnn.search.space import Point
from pocketcnn.search.strategies.base import Strategy
from pocketcnn.search.trial import History, Proposal


class Promising(Strategy):
    """The given points first, then the proposals of a strategy, which learns from them as from its own."""

    def __init__(self, strategy: Strategy, points: Sequence[Point]) -> None:
        super().__init__(strategy.space)
        self.strategy, self.points, self.name = strategy, tuple(points), strategy.name

    def trials(self, evaluations: int) -> int:
        return self.strategy.trials(evaluations)

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        proposal = self.strategy.propose(history, seed, number)
        return replace(proposal, point=self.points[number]) if number < len(self.points) else proposal
