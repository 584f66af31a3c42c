"""The controller's network: an LSTM that makes one decision after the other, each by a softmax over its choices.

"Neural Architecture Search with Reinforcement Learning" (Zoph and Le, 2017), section 3.1. NASNet's has one layer of 100 units
(appendix A of its paper), and MnasNet uses the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.nas.space import Choice, Space

WEIGHTS = 0.1
"""Initial weights are uniform in ± this value (appendix A of NASNet's paper)."""


@dataclass(frozen=True)
class PointStatistics:
    """Log-probability and entropy of points under a policy.

    Attributes:
        log_probability: (N,), summed over the decisions with an effect.
        entropy: (N,), mean over them, in nats.
    """

    log_probability: Tensor
    entropy: Tensor


class Policy(nn.Module):
    """A distribution over the points of a space."""

    def __init__(self, space: Space, hidden: int) -> None:
        super().__init__()
        self.space = space
        counts = [len(decision.choices) for decision in space.decisions]
        self.start = nn.Parameter(torch.zeros(hidden))
        self.cell = nn.LSTMCell(hidden, hidden)
        self.choices = nn.ModuleList([nn.Embedding(count, hidden) for count in counts])
        self.heads = nn.ModuleList([nn.Linear(hidden, count) for count in counts])
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -WEIGHTS, WEIGHTS)

    def forward(self, indices: Tensor, matters: Tensor) -> PointStatistics:
        """Evaluate points with choices at `indices` (N, decisions); `matters` (N, decisions) marks the decisions with an
        effect.
        """
        count = len(indices)
        x = self.start.expand(count, -1)
        state = (torch.zeros_like(x), torch.zeros_like(x))
        chosen, entropies = [], []
        for number, (head, embedding) in enumerate(zip(self.heads, self.choices, strict=True)):
            state = self.cell(x, state)
            log_probabilities = F.log_softmax(head(state[0]), 1)
            chosen.append(log_probabilities.gather(1, indices[:, number : number + 1])[:, 0])
            entropies.append(-(log_probabilities.exp() * log_probabilities).sum(1))
            x = embedding(indices[:, number])
        weight = matters.to(torch.float32)
        total = (torch.stack(chosen, 1) * weight).sum(1)
        entropy = (torch.stack(entropies, 1) * weight).sum(1) / weight.sum(1).clamp(min=1)
        return PointStatistics(total, entropy)

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> tuple[int, ...]:
        """The choice indices of a random point; a decision without effect takes its first choice."""
        x = self.start[None]
        state = (torch.zeros_like(x), torch.zeros_like(x))
        indices: list[int] = []
        partial_point: dict[str, Choice] = {}
        for decision, head, embedding in zip(self.space.decisions, self.heads, self.choices, strict=True):
            state = self.cell(x, state)
            index = 0
            if decision.matters(partial_point):
                probabilities = F.softmax(head(state[0]), 1)[0]
                index = int(torch.multinomial(probabilities, 1, generator=generator))
            indices.append(index)
            partial_point[decision.name] = decision.choices[index]
            x = embedding(torch.tensor([index]))
        return tuple(indices)


def as_tensors(space: Space, points: Sequence[dict[str, Choice]]) -> tuple[Tensor, Tensor]:
    """Points as inputs of the policy: choice indices (N, decisions), and which decisions have an effect (N, decisions)."""
    return (
        torch.tensor([space.indices(point) for point in points]),
        torch.tensor([space.matters(point) for point in points]),
    )
