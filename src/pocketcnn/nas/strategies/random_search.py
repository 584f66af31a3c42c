"""Random search, the control of every other strategy.

"Random Search and Reproducibility for Neural Architecture Search" (Li and Talwalkar, 2019) found it hard to beat.
"""

from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.trial import History, Proposal


class RandomSearch(Strategy):
    """Every decision evenly at random, no point twice as far as it can be helped."""

    name = "random"

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        return Proposal(self.new_point(history, self.rng(seed, number)))
