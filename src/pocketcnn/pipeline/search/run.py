"""The parts of a search: running a strategy with its record, and training and deploying the chosen network."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pocketcnn.graph import GraphNetwork, ModelInfo, capture
from pocketcnn.layers import reparameterize
from pocketcnn.nas.loop import run
from pocketcnn.nas.objective import Objective
from pocketcnn.nas.point_file import save_point
from pocketcnn.nas.space import Point, key_of
from pocketcnn.nas.spaces import MAX_WIDTH, load_space
from pocketcnn.nas.strategies import CONTROL, StrategyConfig, strategy_config
from pocketcnn.nas.strategies.base import WarmStart
from pocketcnn.nas.study import StudyLog
from pocketcnn.nas.trial import Trial
from pocketcnn.nas.workers import workers_for
from pocketcnn.nas.zero_cost import ranked
from pocketcnn.pipeline.compress.shrink import shrink
from pocketcnn.pipeline.compress.strategies import pruner_of
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.compression_run import CompressionRun
from pocketcnn.pipeline.deploy.finish import RunConfig, finish
from pocketcnn.pipeline.recipes import TrainingRecipes
from pocketcnn.pipeline.search.point_evaluator import PointEvaluator
from pocketcnn.pipeline.search.record import (
    Candidate,
    Runs,
    SearchConfig,
    chosen,
    found_record,
    front_in_words,
    run_record,
    search_result,
    trial_in_words,
    with_notes,
    write_record,
)
from pocketcnn.pipeline.workspace import Say, Workspace
from pocketcnn.records.result import FitResult
from pocketcnn.records.search_result import SearchResult
from pocketcnn.targets import Budget

POINT_FILE = "network.toml"
WIDTHS = (0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
DRAWN, SCORED_ON = 10, 64
"""Random points for each point that a zero-cost proxy selects, and images for the proxy."""

WIDENING = 1.05
"""Factor from one width multiplier to the next in `wider_than_budget`."""

WIDTH_SAMPLES = 7
"""Random points of a space for choosing its width multiplier."""


@dataclass(frozen=True)
class SearchRun:
    """The state that the parts of a search share."""

    evaluator: PointEvaluator
    objective: Objective
    plan: StrategyConfig
    config: SearchConfig
    out: Path
    storage: str
    workspace: Workspace
    say: Say
    started: float
    first: tuple[Point, ...] = ()
    """The first points of the strategy (warm start). Its control does not use them."""
    force: bool = False
    """Keep a deployable file that does not compute what the network computes."""

    def run(self, name: str, ray: str | None, before: Runs = ()) -> list[Trial]:
        """Run a strategy and return its trials.

        Args:
            name: of the strategy.
            ray: address of a Ray cluster; None for local workers.
            before: finished runs, for the record.
        """
        strategy = strategy_config(name).make(self.evaluator.space, self.config.evaluations)
        if not before:
            strategy = WarmStart(strategy, self.first)
        log = StudyLog(self.storage, f"{name} {self.workspace.folder.name}", self.evaluator.space)
        total = strategy.trials(self.config.evaluations)
        fronts = [""]

        def report(trial: Trial, history: list[Trial]) -> None:
            self.say(trial_in_words(name, trial, history, total))
            front = front_in_words(run_record(name, history))
            if front != fronts[0]:
                fronts[0] = front
                self.say(f"  front: {front} of the budget")
                self._write([*before, (name, history)])

        evaluator = replace(self.evaluator, work=self.workspace.folder / name)
        with workers_for(evaluator, self.config.workers, ray) as pool:
            trials = run(strategy, self.objective, pool, log, trials=total, seed=self.config.seed, on_end=report)
        self._write([*before, (name, trials)])
        return trials

    def _write(self, runs: Runs) -> None:
        candidate = chosen(runs, self.plan.slack)
        found = None if candidate is None else found_record(candidate, self.evaluator.space)
        seconds = time.monotonic() - self.started
        write_record(search_result(self.config, self.evaluator.space, runs, found, seconds), self.out)

    def deliver(
        self, found: Candidate, runs: Runs, trainings: TrainingRecipes, budget: Budget
    ) -> tuple[SearchResult, FitResult]:
        """Train the chosen network to the end, compress it to the budget, and write all results to the output folder."""
        point, evaluator, transferred = found.trial.point, self.evaluator, ""
        if self.plan.transfers:
            evaluator = largest_that_keeps(self.evaluator, found)
            transferred = "" if evaluator is self.evaluator else evaluator.space.describe(point)[0]
        if self.plan.always_prunes:
            evaluator = wider_than_budget(self.evaluator, found)
            if evaluator is not self.evaluator:
                self.say("The network keeps the budget. It is widened beyond it, and NetAdapt prunes it to the budget.")
        suffix = f", its cells transferred to {transferred}" if transferred else ""
        self.say(f"Final training of trial {found.trial.number} of {found.strategy}{suffix}")
        parent, compression = self._trained(found, evaluator, trainings, budget)
        save_point(self.out / POINT_FILE, evaluator.space, point)
        folder = evaluator.folder
        delivered = finish(
            parent,
            compression,
            RunConfig(budget, folder, self.out, self.config.seed, self.config.command, self.started, self.force),
            shrink,
        )
        config = with_notes(self.config, *delivered.notes, *_verdict(found, runs))
        record = found_record(found, evaluator.space, transferred)
        result = search_result(config, self.evaluator.space, runs, record, time.monotonic() - self.started)
        final = {"test_accuracy": delivered.artefact.accuracy.top1, "verdict": delivered.verdict}
        result = result.model_copy(update={"state": "done", "warnings": delivered.warnings, **final})
        write_record(result, self.out)
        return result, delivered

    def _trained(
        self, found: Candidate, evaluator: PointEvaluator, trainings: TrainingRecipes, budget: Budget
    ) -> tuple[GraphNetwork, CompressionRun]:
        point = found.trial.point
        sets, recipe, network = evaluator.sets(point), trainings.final(), evaluator.network(point)
        self.workspace.train("final", network, sets.train, sets.val, recipe)
        contract = sets.val.contract
        info = ModelInfo(name=f"{evaluator.space.name} network", input=contract, classes=evaluator.folder.classes)
        parent = GraphNetwork(capture(reparameterize(network), (1, *contract.shape)), info)
        pruner = pruner_of(self.plan.pruner, self.out)
        data = evaluator.folder.fingerprint
        method = CompressionMethod(choose=self.plan.choose)
        compression = CompressionRun(
            sets, budget, trainings, self.workspace, self.say, data, method=method, pruner=pruner
        )
        how: dict[str, object] = {"space": evaluator.space.name, "point": dict(point), "strategy": found.strategy}
        how |= {"evaluations": self.config.evaluations, "recipe": recipe.model_dump(mode="json")}
        compression.record("searched and trained", parent, settings=how, seconds=time.monotonic() - self.started)
        return parent, compression


def fitting_width(name: str, evaluator: PointEvaluator, max_share: float) -> float:
    """The largest of `WIDTHS` at which the median random point of the space uses at most `max_share` of the budget."""

    def median_share(width: float) -> float:
        rng = np.random.default_rng(evaluator.seed)
        at = evaluator.on(load_space(name, width))
        return float(np.median([at.budget.use(at.graph(at.space.random(rng))).share for _ in range(WIDTH_SAMPLES)]))

    low, high = 0, len(WIDTHS) - 1
    while low < high:
        place = (low + high + 1) // 2
        low, high = (place, high) if median_share(WIDTHS[place]) <= max_share else (low, place - 1)
    return WIDTHS[low]


def warm_start_points(evaluator: PointEvaluator, proxy: str, count: int, max_share: float) -> tuple[Point, ...]:
    """The `count` best of `DRAWN * count` random points by a zero-cost proxy.

    Points that use more than `max_share` of the budget are excluded, unless all do.
    """
    rng = np.random.default_rng([evaluator.seed, DRAWN])
    points = list({key_of(p): p for p in (evaluator.space.random(rng) for _ in range(DRAWN * count))}.values())
    kept = [point for point in points if evaluator.budget.use(evaluator.graph(point)).share <= max_share] or points
    by_size: dict[tuple[int, int], list[Point]] = {}
    for point in kept:  # only networks with the same input size are compared
        by_size.setdefault(evaluator.space.input_size(point, evaluator.task), []).append(point)
    found: list[list[Point]] = []
    for group in by_size.values():
        images, labels = evaluator.sets(group[0]).evidence(SCORED_ON)
        order = ranked(proxy, [evaluator.network(point) for point in group], images, labels)
        found.append([group[place] for place in order])
    best_of_each = [
        point for place in range(max(map(len, found))) for group in found for point in group[place : place + 1]
    ]
    return tuple(best_of_each[:count])


def largest_that_keeps(evaluator: PointEvaluator, found: Candidate) -> PointEvaluator:
    """The evaluator of the largest network from the cells of `found` that keeps the budget; `evaluator` if there is none."""
    point = found.trial.point
    larger = [evaluator.on(space) for space in evaluator.space.larger()]
    uses = [each.budget.use(each.graph(point)) for each in larger]
    kept = [(use.figures["macs"], place) for place, use in enumerate(uses) if use.share <= 1]
    return larger[max(kept)[1]] if kept else evaluator


def wider_than_budget(evaluator: PointEvaluator, found: Candidate) -> PointEvaluator:
    """The evaluator at the smallest width at which the network of `found` exceeds the budget.

    NetAdapt can only make layers narrower, so it starts from a network above the budget ("Searching for MobileNetV3", Howard
    et al., 2019, section 4.2). `evaluator` if the network exceeds the budget already, its space has no width multiplier, or
    no width up to `MAX_WIDTH` exceeds the budget.
    """
    point, reference = found.trial.point, evaluator.space.reference
    at, width = evaluator, float(reference.get("width", MAX_WIDTH))
    while at.budget.use(at.graph(point)).share <= 1:
        width *= WIDENING
        if width > MAX_WIDTH:
            return evaluator
        at = evaluator.on(load_space(str(reference["name"]), width))
    return at


def _verdict(found: Candidate, runs: Runs) -> tuple[str, ...]:
    """A note if the control found the better network."""
    if len(runs) > 1 and found.strategy == CONTROL:
        return (
            f"Random search found a better network than {runs[0][0]} with the same number of evaluations; it was chosen.",
        )
    return ()
