"""Proposes networks of the zoo to train for a budget: network, width and input size, selected by cost alone."""

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
"""Input sizes to try, as shares of the folder's own. Small images are used in their own size only."""

PRUNABLE = 2.5
"""Largest share of a limit that a candidate may use before compression: about what pruning can recover from."""


@dataclass(frozen=True)
class CandidateNetwork:
    """A candidate: the network and its width multiplier, input channels, input size (height, width) and classes."""

    network: str
    width: float
    channels: int
    size: tuple[int, int]
    classes: int

    @property
    def is_small(self) -> bool:
        """Whether the variant for small images is used: fewer strides, and a head that is scaled by the width."""
        return is_small(self.size)

    @property
    def total_stride(self) -> int:
        """Ratio of the side of the image to that of the last feature map, see `total_stride_for`."""
        stride = options_for(self.network, self.size, self.width).get("total_stride", total_stride_for(self.size))
        return cast(int, stride)

    @property
    def name(self) -> str:
        """For people: ``mobilenet_v2 0.35x, 8x8``."""
        return f"{self.network} {self.width:g}x, {self.size[0]}x{self.size[1]}"

    def build(self, seed: int = 0, *, for_training: bool = False) -> nn.Module:
        """The network with random weights drawn from `seed`. The global random state of torch is not changed.

        `for_training` builds the variant that is trained (for RepVGG, with parallel branches);
        `pocketcnn.layers.reparameterize` converts it for inference.
        """
        options: dict[str, object] = training_options(self.network) if for_training else {}
        options |= options_for(self.network, self.size, self.width)
        with drawn_from(seed):
            return create(self.network, width=self.width, classes=self.classes, in_channels=self.channels, **options)

    @cached_property
    def graph(self) -> Graph:
        """The captured network with random weights, for counting its cost."""
        return capture(self.build(), (1, self.channels, *self.size))

    def contract(self, folder_contract: InputContract) -> InputContract:
        """The folder's input contract at this candidate's size."""
        return folder_contract.model_copy(update={"height": self.size[0], "width": self.size[1]})

    def record(self, rounds: Sequence[tuple[int, float]] = (), chosen: bool = False) -> Candidate:
        """The candidate as a record for the report; `rounds` are (epochs trained so far, validation accuracy)."""
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
    """At most `limit` candidates that can meet `budget` after compression, taken from the networks in turn.

    Each network contributes the largest width that keeps the budget, and the largest one that pruning can bring within it.
    So a small unpruned network competes with a large pruned one. If no candidate comes near the budget, the closest one is
    returned alone.
    """
    by_network: list[list[CandidateNetwork]] = []
    closest: tuple[float, CandidateNetwork] | None = None
    for network in networks:
        by_size: list[list[CandidateNetwork]] = []
        for size in _supported_sizes(network, contract):
            fitting = []
            for plan, miss in _by_width(network, contract.channels, size, classes, budget):
                if closest is None or miss < closest[0]:
                    closest = (miss, plan)
                if miss <= PRUNABLE:
                    fitting.append((plan, miss))
            if fitting:
                by_size.append(_by_priority(fitting))
        if by_size:
            by_network.append(_interleaved(by_size))
    if not by_network:
        return [] if closest is None else [closest[1]]
    return _interleaved(by_network)[:limit]


def worst_miss(graph: Graph, budget: Budget) -> float:
    """The largest ratio of figure to bound over all limits, in the best precision; at most 1 if the budget is kept.

    Limits in percent are ignored: they do not depend on the choice of the network. Latency is measured only if the counted
    figures are at most `PRUNABLE` times their bounds.
    """
    limits = tuple(limit for limit in budget.limits if not limit.relative)
    return BudgetEvaluator(Budget(limits)).share(graph, stop_below=1.0, stop_above=PRUNABLE) if limits else 1.0


def sizes_of(contract: InputContract) -> Iterator[tuple[int, int]]:
    """The input sizes (height, width) to try for the images of a folder, its own first."""
    scales = SCALES[:1] if is_small((contract.height, contract.width)) else SCALES
    for scale in scales:
        yield (max(1, round(contract.height * scale)), max(1, round(contract.width * scale)))


def _supported_sizes(network: str, contract: InputContract) -> list[tuple[int, int]]:
    """The input sizes that the network supports. The folder's own is always included; building it then reports the error."""
    own, *scaled = sizes_of(contract)
    return [own, *(size for size in scaled if takes(network, size))]


def _by_width(
    network: str, channels: int, size: tuple[int, int], classes: int, budget: Budget
) -> Iterator[tuple[CandidateNetwork, float]]:
    """Candidates by increasing width with their `worst_miss`, up to the first that exceeds `PRUNABLE`."""
    for width in WIDTHS if "width" in network_options(network) else (1.0,):
        plan = CandidateNetwork(network, width, channels, size, classes)
        miss = worst_miss(plan.graph, budget)
        yield plan, miss
        if miss > PRUNABLE:
            return


def _by_priority(fitting: Sequence[tuple[CandidateNetwork, float]]) -> list[CandidateNetwork]:
    """The widest candidate that keeps the budget, then the widest that pruning can bring within it, then the others."""
    kept = [plan for plan, miss in fitting if miss <= 1]
    over = [plan for plan, miss in fitting if miss > 1]
    order = kept[-1:] + over[-1:] + over[:-1][::-1] + kept[:-1][::-1]
    return order


def _interleaved(ranked: Sequence[Sequence[CandidateNetwork]]) -> list[CandidateNetwork]:
    """The first candidate of every list, then the second of every list, and so on."""
    longest = max(map(len, ranked))
    return [plans[place] for place in range(longest) for plans in ranked if place < len(plans)]
