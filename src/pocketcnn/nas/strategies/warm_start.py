"""Any strategy, begun with points that are promising already: the best of many random ones by a zero-cost proxy, say.

"Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al., 2021), section 5, warms up evolution and controllers so.
"""

from collections.abc import Sequence
from dataclasses import replace

from pocketcnn.nas.space import Point
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.trial import History, Proposal


class WarmStart(Strategy):
    """The given points first, then the proposals of a strategy, which learns from them as from its own."""

    def __init__(self, strategy: Strategy, points: Sequence[Point]) -> None:
        super().__init__(strategy.space)
        self.strategy, self.points, self.name = strategy, tuple(points), strategy.name

    def trials(self, evaluations: int) -> int:
        return self.strategy.trials(evaluations)

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        proposal = self.strategy.propose(history, seed, number)
        return replace(proposal, point=self.points[number]) if number < len(self.points) else proposal
