"""Which networks of the zoo are worth training for a budget: network x width x input size, judged by cost alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from torch import nn

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.cost import count
from pocketcnn.graph import Graph, InputContract, capture
from pocketcnn.models import create, network_options, training_options
from pocketcnn.models.small_images import is_small, options_for, takes, total_stride_for
from pocketcnn.records.result import Candidate
from pocketcnn.targets import Budget
from pocketcnn.training import drawn_from

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
WIDTHS = (0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
SCALES = (1.0, 0.75, 0.5)
"""Input sizes, as shares of the folder's own; small images are only tried as they are."""

PRUNABLE = 2.5
"""How far a candidate may overshoot a limit before compression: about what pruning recovers from without much loss."""


@dataclass(frozen=True)
class CandidateNetwork:
    """One candidate: everything that builds the network."""

    network: str
    width: float
    channels: int
    size: tuple[int, int]
    classes: int

    @property
    def is_small(self) -> bool:
        """Whether the small-image form is used: fewer strides, and a head that shrinks with the width."""
        return is_small(self.size)

    @property
    def total_stride(self) -> int:
        """How much smaller the last feature map is than the image, see `total_stride_for`."""
        stride = options_for(self.network, self.size, self.width).get("total_stride", total_stride_for(self.size))
        return cast(int, stride)

    @property
    def name(self) -> str:
        """For people: ``mobilenet_v2 0.35x, 8x8``."""
        return f"{self.network} {self.width:g}x, {self.size[0]}x{self.size[1]}"

    def build(self, seed: int = 0, *, for_training: bool = False) -> nn.Module:
        """The network with fresh weights drawn from `seed`; torch's own random stream is left as it was.

        `for_training` gives the form in which its paper trains it; `pocketcnn.layers.reparameterize` undoes that.
        """
        options: dict[str, object] = training_options(self.network) if for_training else {}
        options |= options_for(self.network, self.size, self.width)
        with drawn_from(seed):
            return create(self.network, width=self.width, classes=self.classes, in_channels=self.channels, **options)

    @cached_property
    def graph(self) -> Graph:
        """The network captured with random weights: enough for every cost."""
        return capture(self.build(), (1, self.channels, *self.size))

    def contract(self, folder_contract: InputContract) -> InputContract:
        """The folder's input contract at this candidate's size."""
        return folder_contract.model_copy(update={"height": self.size[0], "width": self.size[1]})

    def record(self, rounds: Sequence[tuple[int, float]] = (), chosen: bool = False) -> Candidate:
        """The candidate as the report shows it."""
        cost = count(self.graph)
        return Candidate(
            name=self.name,
            network=self.network,
            width=self.width,
            input_size=self.size,
            total_stride=self.total_stride,
            params=cost.params,
            madds=cost.madds,
            rounds=tuple(rounds),
            chosen=chosen,
        )


def propose_candidates(
    contract: InputContract, classes: int, budget: Budget, limit: int, networks: Sequence[str] = NETWORKS
) -> list[CandidateNetwork]:
    """At most `limit` candidates that can meet `budget` after compression, spread over the networks.

    Every network contributes its widest form that keeps the budget as it is, and the next wider one, which pruning must bring
    down: both ends of the question whether a large pruned network beats a small whole one. Where nothing comes near the
    budget, the closest candidate is returned alone: the best file there can be, though it misses.
    """
    ranked: list[list[CandidateNetwork]] = []
    closest: tuple[float, CandidateNetwork] | None = None
    for network in networks:
        for size in _taken(network, contract):
            fitting = []
            for plan, miss in _by_width(network, contract.channels, size, classes, budget):
                if closest is None or miss < closest[0]:
                    closest = (miss, plan)
                if miss <= PRUNABLE:
                    fitting.append((plan, miss))
            if fitting:
                ranked.append(_both_ends(fitting))
    if not ranked:
        return [] if closest is None else [closest[1]]
    return _interleaved(ranked)[:limit]


def worst_miss(graph: Graph, budget: Budget) -> float:
    """How badly the worst limit is missed in the better precision: figure / bound, at most 1 when the budget is kept.

    A limit in percent of the unpruned network says nothing about which network to take. Latency is measured only where
    the counted figures are not hopeless already.
    """
    limits = tuple(limit for limit in budget.limits if not limit.relative)
    return BudgetEvaluator(Budget(limits)).share(graph, stop_below=1.0, stop_above=PRUNABLE) if limits else 1.0


def sizes_of(contract: InputContract) -> Iterator[tuple[int, int]]:
    """(height, width) in which the images of a folder may be looked at, its own first."""
    scales = SCALES[:1] if is_small((contract.height, contract.width)) else SCALES
    for scale in scales:
        yield (max(1, round(contract.height * scale)), max(1, round(contract.width * scale)))


def _taken(network: str, contract: InputContract) -> list[tuple[int, int]]:
    """The sizes that the network takes; the folder's own in any case, at which it says what it takes."""
    own, *scaled = sizes_of(contract)
    return [own, *(size for size in scaled if takes(network, size))]


def _by_width(
    network: str, channels: int, size: tuple[int, int], classes: int, budget: Budget
) -> Iterator[tuple[CandidateNetwork, float]]:
    """Candidates from narrow to wide with their worst miss in the better numerics, until they are hopelessly large."""
    for width in WIDTHS if "width" in network_options(network) else (1.0,):
        plan = CandidateNetwork(network, width, channels, size, classes)
        miss = worst_miss(plan.graph, budget)
        yield plan, miss
        if miss > PRUNABLE:
            return


def _both_ends(fitting: Sequence[tuple[CandidateNetwork, float]]) -> list[CandidateNetwork]:
    """The widest candidate that keeps the budget unpruned, then the widest that pruning can bring down, then the rest."""
    kept = [plan for plan, miss in fitting if miss <= 1]
    over = [plan for plan, miss in fitting if miss > 1]
    order = kept[-1:] + over[-1:] + over[:-1][::-1] + kept[:-1][::-1]
    return order


def _interleaved(ranked: Sequence[Sequence[CandidateNetwork]]) -> list[CandidateNetwork]:
    """First everybody's first choice, then everybody's second, …"""
    longest = max(map(len, ranked))
    return [plans[place] for place in range(longest) for plans in ranked if place < len(plans)]
