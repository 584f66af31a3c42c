"""NetAdapt: prune one channel group per step, the one that costs the least accuracy, until a bound is met.

Yang et al., "NetAdapt: Platform-Aware Neural Network Adaptation for Mobile Applications" (ECCV 2018), algorithm 1. The
variant of Howard et al., "Searching for MobileNetV3" (2019), section 4.3, takes steps of constant size and keeps the proposal
with the best ratio of accuracy change to resource change, see `settings_of_rule`. Its two kinds of proposals, the expansion of
one block and the bottleneck of all blocks that residual connections join, are both channel groups here, in any network.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args

from pocketcnn.compression.pruning.netadapt_history import History, NetAdaptStep, Proposal
from pocketcnn.compression.pruning.prune import Batches, PruneSettings
from pocketcnn.compression.pruning.resource import Resource
from pocketcnn.compression.pruning.space import PruningSpace, with_count
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.training.evaluate import Score

MAX_HALVINGS = 5
"""How often a step that too few groups can take is halved, before any saving is accepted."""

Rule = Literal["accuracy", "ratio"]
"""How the proposal of a step is chosen: by its accuracy (NetAdapt), or by accuracy lost to resource saved (MobileNetV3)."""

RULES: tuple[Rule, ...] = get_args(Rule)

MIN_PROPOSALS = 4
"""Groups that must be able to take a step. With one or two, those groups would be pruned too far."""


@dataclass(frozen=True)
class NetAdaptSettings:
    """Settings of the NetAdapt loop.

    Attributes:
        step: the saving that the first step must reach, as a share of what the initial network uses.
        decay: factor on the required saving from step to step.
        max_ratio: largest share of a group's units that one step may remove. Short fine-tuning hides the damage of larger
            cuts; if too few groups can save enough within this limit, the step is made smaller.
        max_proposals: how many proposals of a step are fine-tuned: those whose pruned units are the least important. None
            fine-tunes all, as the paper does.
        choose: ``accuracy`` keeps the most accurate proposal (the paper); ``ratio`` keeps the best accuracy change per unit
            of the resource (MobileNetV3).
        channels: importance criterion and width limits for the channels of a group.
    """

    step: float = 0.05
    decay: float = 0.96
    max_ratio: float = 0.5
    max_proposals: int | None = None
    choose: Rule = "accuracy"
    channels: PruneSettings = field(default_factory=PruneSettings)

    def __post_init__(self) -> None:
        if not 0 < self.step < 1 or not 0 < self.decay <= 1 or not 0 < self.max_ratio <= 1:
            raise UsageError("`step` must be between 0 and 1; `decay` and `max_ratio` must be above 0 and at most 1.")
        if self.max_proposals is not None and self.max_proposals < 1:
            raise UsageError("`max_proposals` must be at least 1, or None for all.")
        if self.choose not in RULES:
            raise UsageError(f"`choose` must be {' or '.join(map(repr, RULES))}, not {self.choose!r}.")


STEPS_OF_RULE: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "accuracy": MappingProxyType({}),
        "ratio": MappingProxyType({"step": 0.01, "decay": 1.0}),
    }
)
"""The step sizes that belong to a rule. MobileNetV3: each step saves at least 1 % of what the initial network uses."""


def settings_of_rule(choose: str, **others: Any) -> NetAdaptSettings:
    """The settings of a rule with its step sizes; `others` are further fields of `NetAdaptSettings`.

    Raises:
        UsageError: an unknown rule.
    """
    return NetAdaptSettings(choose=choose, **{**STEPS_OF_RULE.get(choose, {}), **others})  # type: ignore[arg-type]


class FineTuner(Protocol):
    """Fine-tunes and evaluates proposals."""

    def score(self, network: GraphNetwork) -> Score:
        """Accuracy and loss of `network` on held-out images."""

    def tune(self, network: GraphNetwork, step: int) -> Score:
        """Fine-tune `network` in place for a few steps on the images of this step; return its score afterwards."""


@dataclass(frozen=True)
class NetAdaptResult:
    """The pruned network after short fine-tuning only, its steps, and whether the bound is met."""

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
    """A pruned copy of `network` that uses at most `bound` of `resource`. It still needs its long fine-tuning.

    Args:
        network: a trained float network.
        resource: what is bounded.
        bound: in the unit of the resource.
        tuner: fine-tunes and evaluates proposals.
        settings: of the loop.
        batches: labelled images, for importance criteria that need them.
        store: a folder for all proposals and steps. The same call resumes from it, also with a lower bound.
        say: receives a message per step.

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
            f"step {done.number}: {', '.join(done.best.layers)} lose {done.best.lost} of {done.best.units} units; accuracy "
            f"{done.best.accuracy:.2%}, {state.use / bound:.1%} of the bound ({resource.name})"
        )
    return NetAdaptResult(state.network, history.steps, met=True)


@dataclass(frozen=True)
class _State:
    """The current network, what it uses, and its accuracy."""

    network: GraphNetwork
    use: float
    accuracy: float


class _Loop:
    """The loop: everything that does not change from step to step."""

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
        self.initial_use = resource.use(network.graph)

    def _space(self, graph: Graph) -> PruningSpace:
        return PruningSpace.of(graph, self.resource, self.settings.channels, self.batches, self.widths)

    def resumed(self, history: History) -> _State:
        """The state after the last step of the history."""
        if not history.steps:
            return _State(self.start, self.initial_use, self.tuner.score(self.start).top1)
        best = history.steps[-1].best
        return _State(history.network(self.start.info), best.resource, best.accuracy)

    def step(self, state: _State, history: History) -> _State | None:
        """Run the next step and add it to the history; None if nothing can be removed."""
        number = len(history.steps) + 1
        space = self._space(state.network.graph)
        saving = self.settings.step * self.initial_use * self.settings.decay ** (number - 1)
        target, candidates = _candidates(space, state.use, max(self.bound, state.use - saving), self.settings.max_ratio)
        proposals: list[Proposal] = []
        best: tuple[tuple[float, float, float], int, GraphNetwork] | None = (
            None  # score, index, network of the best proposal so far
        )
        for group, lost in _least_important(space, candidates, self.settings.max_proposals):
            proposal, pruned = self._evaluate_proposal(space, group, lost, number, history)
            score = self._score(proposal, state)
            if best is None or score > best[0]:
                best = score, len(proposals), pruned
            proposals.append(proposal)
        if best is None:
            return None
        _, chosen, network = best
        history.add(NetAdaptStep(number, target, tuple(proposals), chosen), network)
        return _State(network, proposals[chosen].resource, proposals[chosen].accuracy)

    def _score(self, proposal: Proposal, state: _State) -> tuple[float, float, float]:
        """The rank of a proposal, higher is better. Small validation sets tie often; then the loss decides, then the saving."""
        saved = state.use - proposal.resource
        by_ratio = self.settings.choose == "ratio"
        first = (proposal.accuracy - state.accuracy) / saved if by_ratio else proposal.accuracy
        return first, -proposal.loss, saved

    def _evaluate_proposal(
        self, space: PruningSpace, group: int, lost: int, number: int, history: History
    ) -> tuple[Proposal, GraphNetwork]:
        """One proposal, fine-tuned and evaluated now or by an earlier run."""
        done = history.finished_proposal(group, lost, self.start.info)
        if done is not None:
            return done
        counts = with_count(space.no_pruning, group, lost)
        network = GraphNetwork(space.prune(counts), self.start.info)
        found = self.tuner.tune(network, number)
        proposal = Proposal(
            group, space.layers(group), lost, space.units(group), space.use(counts), found.top1, found.loss
        )
        history.record(proposal, network)
        return proposal, network


def _candidates(
    space: PruningSpace, use: float, target: float, max_ratio: float
) -> tuple[float, list[tuple[int, int]]]:
    """The groups that can reach `target` alone, and how many units each must lose: algorithm 1, line 5.

    If too few groups can, the step is halved; in the end any saving is accepted. The target that was used is returned first.
    """
    wanted = min(MIN_PROPOSALS, len(space.prunable))
    for _ in range(MAX_HALVINGS):
        found = [(group, lost) for group, lost in _min_counts(space, target) if lost <= max_ratio * space.units(group)]
        if len(found) >= wanted:
            return target, found
        target = (use + target) / 2
    smallest = use * (1 - 1e-9)
    return smallest, _min_counts(space, smallest)


def _min_counts(space: PruningSpace, target: float) -> list[tuple[int, int]]:
    needed = ((group, space.min_count(group, space.no_pruning, target)) for group in space.prunable)
    return [(group, lost) for group, lost in needed if lost is not None]


def _least_important(
    space: PruningSpace, candidates: list[tuple[int, int]], max_proposals: int | None
) -> list[tuple[int, int]]:
    """Up to `max_proposals` candidates: those that remove the least importance, in the order of the groups."""

    def removed_importance(candidate: tuple[int, int]) -> float:
        group, lost = candidate
        return sum(score for score, _ in space.order.removable_units(group)[:lost])

    return sorted(sorted(candidates, key=removed_importance)[:max_proposals])
