"""NetAdapt: narrow one group of channels at a time, always the one that costs the least accuracy, until a bound is kept.

Yang et al., "NetAdapt: Platform-Aware Neural Network Adaptation for Mobile Applications" (ECCV 2018), algorithm 1. In the
variant of Howard et al., "Searching for MobileNetV3" (2019), section 4.3, the proposal with the best ratio of the change of
accuracy to the change of the resource is kept. Its two kinds of proposals, the expansion of one block and the bottleneck
of all blocks that residual connections tie together, are what coupled channels are anyway, in any network.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pocketcnn.compression.pruning.netadapt_history import History, NetAdaptStep, Proposal
from pocketcnn.compression.pruning.prune import Batches, PruneSettings
from pocketcnn.compression.pruning.resource import Resource
from pocketcnn.compression.pruning.space import PruningSpace, with_count
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.training.evaluate import Score

HALVINGS = 5
"""How often a step that too few groups can take alone is halved before any step at all will do."""

CHOICES = 4
"""Groups that must be able to take a step alone: where one or two can, they would be ruined for lack of others."""


@dataclass(frozen=True)
class NetAdaptSettings:
    """How the loop goes.

    Attributes:
        step: what the first step must save, as a share of what the given network uses.
        decay: each step must save this share of what the step before had to.
        most: of a group's units that one step may take. A short training shows little of what harsher cuts destroy, so where
            too few groups can save enough within it the step is made smaller.
        tried: how many of the groups that can take a step are trained for it: those whose units are worth the least by the
            criterion of the channels. None tries all, as the paper does.
        choose: ``accuracy``, the most accurate proposal (the paper), or ``ratio``, the best change of accuracy for each unit
            of the resource (MobileNetV3).
        channels: which channels of a group go, and how narrow layers may get.
    """

    step: float = 0.05
    decay: float = 0.96
    most: float = 0.5
    tried: int | None = None
    choose: Literal["accuracy", "ratio"] = "accuracy"
    channels: PruneSettings = field(default_factory=PruneSettings)

    def __post_init__(self) -> None:
        if not 0 < self.step < 1 or not 0 < self.decay <= 1 or not 0 < self.most <= 1:
            raise UsageError("`step` lies between 0 and 1, `decay` and `most` above 0 and up to 1.")
        if self.tried is not None and self.tried < 1:
            raise UsageError("`tried` is at least 1, or None for all.")
        if self.choose not in ("accuracy", "ratio"):
            raise UsageError(f"NetAdapt chooses by 'accuracy' or by 'ratio', not by {self.choose!r}.")


class FineTuner(Protocol):
    """What trains and judges the proposals."""

    def score(self, network: GraphNetwork) -> Score:
        """Accuracy and loss of `network` on held-out images."""

    def tune(self, network: GraphNetwork, step: int) -> Score:
        """Fine-tune `network` in place for a short while, on the images of this step; its score afterwards."""


@dataclass(frozen=True)
class NetAdaptResult:
    """The narrowed network, fine-tuned for short whiles only, its steps, and whether the bound is kept."""

    network: GraphNetwork
    steps: tuple[NetAdaptStep, ...]
    met: bool


def netadapt(
    network: GraphNetwork,
    resource: Resource,
    bound: float,
    tuner: FineTuner,
    settings: NetAdaptSettings | None = None,
    *,
    batches: Batches = (),
    store: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> NetAdaptResult:
    """A narrower copy of `network` that uses at most `bound` of `resource`; it still wants its long fine-tuning.

    Args:
        network: a trained float network.
        batches: labelled images, for criteria of importance that need them.
        store: a folder that takes every proposal and step as it is done. The same call goes on from there, also with a
            lower bound.

    Raises:
        UsageError: the network is quantized, or `store` holds steps of another network, resource or other settings.
    """
    settings = settings or NetAdaptSettings()
    history = History.open(store, network.graph, resource.name, asdict(settings))
    loop = _Loop(network, resource, bound, tuner, settings, batches)
    state = loop.resumed(history)
    while state.use > bound:
        step = loop.step(state, history)
        if step is None:
            return NetAdaptResult(state.network, history.steps, met=False)
        state = step
        done = history.steps[-1]
        say(
            f"step {done.number}: {', '.join(done.best.layers)} lose {done.best.lost} of {done.best.units}; accuracy "
            f"{done.best.accuracy:.2%}, uses {state.use / bound:.1%} of what it may ({resource.name})"
        )
    return NetAdaptResult(state.network, history.steps, met=True)


@dataclass(frozen=True)
class _State:
    """The network so far, what it uses, and its accuracy."""

    network: GraphNetwork
    use: float
    accuracy: float


class _Loop:
    """What stays the same from step to step."""

    def __init__(
        self,
        network: GraphNetwork,
        resource: Resource,
        bound: float,
        tuner: FineTuner,
        settings: NetAdaptSettings,
        batches: Batches,
    ) -> None:
        self.start, self.resource, self.bound = network, resource, bound
        self.tuner, self.settings, self.batches = tuner, settings, batches
        self.widths = {node.name: node.shape[0] for node in network.graph.nodes if node.op in ("conv2d", "linear")}
        self.whole = resource.use(network.graph)

    def _space(self, graph: Graph) -> PruningSpace:
        return PruningSpace.of(graph, self.resource, self.settings.channels, self.batches, self.widths)

    def resumed(self, history: History) -> _State:
        """Where the steps of the history led."""
        if not history.steps:
            return _State(self.start, self.whole, self.tuner.score(self.start).top1)
        best = history.steps[-1].best
        return _State(history.network(self.start.info), best.resource, best.accuracy)

    def step(self, state: _State, history: History) -> _State | None:
        """The next step, which is added to the history; None if there is nothing left to remove."""
        number = len(history.steps) + 1
        space = self._space(state.network.graph)
        saving = self.settings.step * self.whole * self.settings.decay ** (number - 1)
        target, cuts = _proposed(space, state.use, max(self.bound, state.use - saving), self.settings.most)
        proposals: list[Proposal] = []
        best: tuple[tuple[float, float, float], int, GraphNetwork] | None = (
            None  # worth, place; the others are not kept
        )
        for group, lost in _cheapest(space, cuts, self.settings.tried):
            proposal, narrowed = self._tried(space, group, lost, number, history)
            worth = self._worth(proposal, state)
            if best is None or worth > best[0]:
                best = worth, len(proposals), narrowed
            proposals.append(proposal)
        if best is None:
            return None
        _, chosen, network = best
        history.add(NetAdaptStep(number, target, tuple(proposals), chosen), network)
        return _State(network, proposals[chosen].resource, proposals[chosen].accuracy)

    def _worth(self, proposal: Proposal, state: _State) -> tuple[float, float, float]:
        """The higher, the better. Small sets of images tie often; the loss then decides, and at last what is saved."""
        saved = state.use - proposal.resource
        by_ratio = self.settings.choose == "ratio"
        first = (proposal.accuracy - state.accuracy) / saved if by_ratio else proposal.accuracy
        return first, -proposal.loss, saved

    def _tried(
        self, space: PruningSpace, group: int, lost: int, number: int, history: History
    ) -> tuple[Proposal, GraphNetwork]:
        """One proposal, tuned and judged now or by an earlier run."""
        done = history.tried(group, lost, self.start.info)
        if done is not None:
            return done
        counts = with_count(space.none, group, lost)
        network = GraphNetwork(space.cut(counts), self.start.info)
        found = self.tuner.tune(network, number)
        proposal = Proposal(
            group, space.layers(group), lost, space.units(group), space.use(counts), found.top1, found.loss
        )
        history.note(proposal, network)
        return proposal, network


def _proposed(space: PruningSpace, use: float, target: float, most: float) -> tuple[float, list[tuple[int, int]]]:
    """The groups that can come down to `target` alone, and how much each must lose for it: algorithm 1, line 5.

    Where too few can, the step is halved, and at last any saving will do; the target that was used comes first.
    """
    wanted = min(CHOICES, len(space.movable))
    for _ in range(HALVINGS):
        found = [(group, lost) for group, lost in _enough(space, target) if lost <= most * space.units(group)]
        if len(found) >= wanted:
            return target, found
        target = (use + target) / 2
    smallest = use * (1 - 1e-9)
    return smallest, _enough(space, smallest)


def _enough(space: PruningSpace, target: float) -> list[tuple[int, int]]:
    needed = ((group, space.fewest(group, space.none, target)) for group in space.movable)
    return [(group, lost) for group, lost in needed if lost is not None]


def _cheapest(space: PruningSpace, cuts: list[tuple[int, int]], most: int | None) -> list[tuple[int, int]]:
    """Up to `most` of the cuts, those that take the least of what the criterion counts, in the order of the groups."""

    def taken(cut: tuple[int, int]) -> float:
        group, lost = cut
        return sum(score for score, _ in space.order.leaving(group)[:lost])

    return sorted(sorted(cuts, key=taken)[:most])
