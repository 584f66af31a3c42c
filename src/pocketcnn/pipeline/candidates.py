"""Proposes networks of the zoo to train for a budget: network, width and input size, selected by cost alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
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

LARGER = 4 / 3
"""A larger input size, as a factor on the folder's own, which is the median: many images have the pixels for it."""

LONGEST_SIDE = 224
"""Pixels; images are not enlarged beyond."""

FILLED = 0.9
"""Share of the budget that the widest candidate that keeps it should use; widths between those of `WIDTHS` are tried for it."""

FILLING_STEPS = 3

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
    So a small unpruned network competes with a large pruned one. Every second network starts with larger images, if these keep
    the budget. If no candidate comes near the budget, the closest one is returned alone.
    """
    tried: list[tuple[float, CandidateNetwork]] = []
    choices = [
        _of_network(
            network, _in_turn(_supported_sizes(network, contract), place), contract.channels, classes, budget, tried
        )
        for place, network in enumerate(networks)
    ]
    found = list(islice(_round_robin(choices), limit))
    return found or [plan for _, plan in sorted(tried, key=lambda pair: pair[0])[:1]]


def _of_network(
    network: str,
    sizes: Sequence[tuple[int, int]],
    channels: int,
    classes: int,
    budget: Budget,
    tried: list[tuple[float, CandidateNetwork]],
) -> Iterator[CandidateNetwork]:
    """The candidates of a network, the best of every size first. Sizes are evaluated when they are asked for.

    Every candidate that was evaluated is added to `tried` with its `worst_miss`.
    """
    others = []
    for size in sizes:
        evaluated = list(_by_width(network, channels, size, classes, budget))
        tried += [(miss, plan) for plan, miss in evaluated]
        ordered = _by_priority([(plan, miss) for plan, miss in evaluated if miss <= PRUNABLE])
        yield from ordered[:1]
        others.append(ordered[1:])
    yield from _round_robin([iter(plans) for plans in others])


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
    """The input sizes that the network supports, and a larger one if the images are not small.

    The folder's own is always included; building it then reports the error.
    """
    own, *scaled = sizes_of(contract)
    larger = (round(own[0] * LARGER), round(own[1] * LARGER))
    more = [larger] if scaled and max(larger) <= LONGEST_SIDE else []
    return [own, *(size for size in more + scaled if takes(network, size))]


def _in_turn(sizes: Sequence[tuple[int, int]], place: int) -> list[tuple[int, int]]:
    """`sizes`, with the second one first at every second place if it is larger."""
    own, *others = sizes
    if place % 2 and others and others[0] > own:
        return [others[0], own, *others[1:]]
    return list(sizes)


def _by_width(
    network: str, channels: int, size: tuple[int, int], classes: int, budget: Budget
) -> Iterator[tuple[CandidateNetwork, float]]:
    """Candidates with their `worst_miss`: by increasing width up to the first that exceeds `PRUNABLE`, then `_filling`."""
    evaluated: list[tuple[float, float]] = []

    def candidate(width: float) -> tuple[CandidateNetwork, float]:
        plan = CandidateNetwork(network, width, channels, size, classes)
        evaluated.append((width, worst_miss(plan.graph, budget)))
        return plan, evaluated[-1][1]

    for width in WIDTHS if "width" in network_options(network) else (1.0,):
        yield candidate(width)
        if evaluated[-1][1] > PRUNABLE:
            break
    for _ in range(FILLING_STEPS):
        between = _filling(evaluated)
        if between is None:
            return
        yield candidate(between)


def _filling(evaluated: Sequence[tuple[float, float]]) -> float | None:
    """The next width to try of pairs (width, `worst_miss`), so that the budget is used; None if it is, or nothing is between."""
    kept = [(width, miss) for width, miss in evaluated if miss <= 1]
    widest, use = max(kept, default=(0.0, 1.0))
    wider = min((width for width, miss in evaluated if miss > 1 and width > widest), default=None)
    if wider is None or use >= FILLED:
        return None
    return round((widest + wider) / 2, 3)


def _by_priority(fitting: Sequence[tuple[CandidateNetwork, float]]) -> list[CandidateNetwork]:
    """The widest candidate that keeps the budget, then the widest that pruning can bring within it, then the others."""
    by_width = sorted(fitting, key=lambda pair: pair[0].width)
    kept = [plan for plan, miss in by_width if miss <= 1]
    over = [plan for plan, miss in by_width if miss > 1]
    order = kept[-1:] + over[-1:] + over[:-1][::-1] + kept[:-1][::-1]
    return order


def _round_robin(sources: Sequence[Iterator[CandidateNetwork]]) -> Iterator[CandidateNetwork]:
    """The first candidate of every source, then the second of every source, and so on; nothing is evaluated before its turn."""
    remaining = list(sources)
    while remaining:
        for source in tuple(remaining):
            plan = next(source, None)
            if plan is None:
                remaining.remove(source)
            else:
                yield plan
