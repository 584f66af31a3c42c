"""The controller's network: an LSTM that takes one decision after the other, each by a softmax over its choices.

"Neural Architecture Search with Reinforcement Learning" (Zoph and Le, 2017), section 3.1; NASNet's has one layer of 100 units
(appendix A of its paper), and MnasNet uses the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.nas.space import Choice, Space

WEIGHTS = 0.1
"""Initial weights are drawn from ± this (appendix A of NASNet's paper)."""


@dataclass(frozen=True)
class Taken:
    """What is known of some points under a policy.

    Attributes:
        log_probability: (N,) of all decisions that matter together.
        entropy: (N,) mean over them, in nats.
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

    def forward(self, places: Tensor, matters: Tensor) -> Taken:
        """Of points with choices at `places` (N, decisions), whose decisions make a difference where `matters` (N, decisions)."""
        count = len(places)
        x = self.start.expand(count, -1)
        state = (torch.zeros_like(x), torch.zeros_like(x))
        chosen, entropies = [], []
        for number, (head, embedding) in enumerate(zip(self.heads, self.choices, strict=True)):
            state = self.cell(x, state)
            log_probabilities = F.log_softmax(head(state[0]), 1)
            chosen.append(log_probabilities.gather(1, places[:, number : number + 1])[:, 0])
            entropies.append(-(log_probabilities.exp() * log_probabilities).sum(1))
            x = embedding(places[:, number])
        weight = matters.to(torch.float32)
        total = (torch.stack(chosen, 1) * weight).sum(1)
        entropy = (torch.stack(entropies, 1) * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Taken(total, entropy)

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> tuple[int, ...]:
        """The places of the choices of a point, drawn decision by decision; one that makes no difference takes its first."""
        x = self.start[None]
        state = (torch.zeros_like(x), torch.zeros_like(x))
        places: list[int] = []
        so_far: dict[str, Choice] = {}
        for decision, head, embedding in zip(self.space.decisions, self.heads, self.choices, strict=True):
            state = self.cell(x, state)
            place = 0
            if decision.matters(so_far):
                probabilities = F.softmax(head(state[0]), 1)[0]
                place = int(torch.multinomial(probabilities, 1, generator=generator))
            places.append(place)
            so_far[decision.name] = decision.choices[place]
            x = embedding(torch.tensor([place]))
        return tuple(places)


def as_tensors(space: Space, points: Sequence[dict[str, Choice]]) -> tuple[Tensor, Tensor]:
    """Points as the policy takes them: places (N, decisions), and which decisions matter (N, decisions)."""
    return (
        torch.tensor([space.places(point) for point in points]),
        torch.tensor([space.matters(point) for point in points]),
    )
