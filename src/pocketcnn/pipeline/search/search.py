"""`search`: images, a search space and a budget in; the best network that a strategy found, trained and deployable, out.

Let the strategy propose points and train each a little; do the same at random, as the control; train the best of all in full;
and from there on as in `fit`: bring it within the budget, write it, measure it.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.latency import LatencySource
from pocketcnn.data import scan
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.nas.objective import load_objective
from pocketcnn.nas.space import Point, Space
from pocketcnn.nas.spaces import has_width, load_space
from pocketcnn.nas.strategies import CONTROL, OPTIONS_READ, StrategyConfig, strategy_config
from pocketcnn.nas.study import sqlite
from pocketcnn.nas.zero_cost import proxy as proxy_of
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.option_use import check_used
from pocketcnn.pipeline.recipes import TrainingRecipes, base_recipe
from pocketcnn.pipeline.search.point_evaluator import PointEvaluator, shortened
from pocketcnn.pipeline.search.record import SearchConfig, chosen, reward_in_words
from pocketcnn.pipeline.search.run import DRAWN, SearchRun, fitting_width, warm_start_points
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, quiet
from pocketcnn.records.result import FitResult
from pocketcnn.records.search_result import SearchResult
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, threads_for

STUDY_FILE = "search.db"
FIRST_SHARE = 5


@dataclass(frozen=True)
class Searched:
    """What a search leaves: its record, and the result of bringing its network to the device, as `fit` has it."""

    search: SearchResult
    fit: FitResult


def search(
    data: str | Path,
    budget: str | Budget,
    out: str | Path,
    *,
    space: str | Space | None = None,
    strategy: str = "mnasnet",
    trials: int = 30,
    width: float | None = None,
    reward: str | None = None,
    epochs: int | None = None,
    effort: str | Effort = "low",
    seed: int = 0,
    workers: int = 1,
    ray: str | None = None,
    storage: str | None = None,
    control: bool | None = None,
    warm_start: str | None = None,
    recipe: Recipe | None = None,
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
    command: str = "",
) -> Searched:
    """Search a space for a network for the images in `data` that keeps `budget`, and leave it in `out`.

    `out` then holds what `fit` leaves, and `search.json`, `search.html`, `network.toml` (the network as a point, which can be
    changed by hand) and `search.db` (every trial, as an Optuna study). The same command goes on where an earlier one was stopped.

    Args:
        data: a folder of images, see `pocketcnn.data.scan`.
        budget: limits such as ``macs<=2M, latency<=3ms@onnxruntime-cpu``, all of them numbers.
        space: a name of `pocketcnn.nas.spaces.SPACES`, ``scaling:NETWORK``, a .toml or .py file, or a `Space`; the
            strategy's own if not given.
        strategy: a name of `pocketcnn.nas.strategies.STRATEGIES`.
        trials: whole proxy trainings that are spent; successive halving spends them on more and shorter ones.
        width: width multiplier of the space; the widest at which half of its networks keep the budget if not given.
        reward: ``accuracy``, ``soft``, ``soft-small`` or ``hard``; the strategy's own if not given.
        epochs: of a proxy training; if not given, the effort says.
        workers: how many points are evaluated at a time. With one the result follows from the seed.
        ray: address of a Ray cluster whose machines evaluate the points.
        storage: address of an Optuna storage for the trials; a SQLite file in `out` if not given.
        control: search at random too, with as many evaluations; the better of both is taken. True if not given, except for the
            strategy ``random``, which is the control.
        first_by: a zero-cost proxy (``synflow``, ``naswot``, ``grad_norm``, ``params``): the first fifth of the strategy's
            trials are the best of ten times as many random points by it, not those that the strategy would begin with.

    Raises:
        UsageError: the folder, the budget, the space or a name is wrong; or the strategy does not read an option that is given.
        MissingExtra: Optuna or Ray is needed and not installed.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    plan = strategy_config(strategy)
    check_used("strategy", strategy, OPTIONS_READ, _given(reward=reward, control=control))
    wanted = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    use, size, out = _evaluator(wanted), load_effort(effort), Path(out)
    base = base_recipe(recipe)
    if trials < 1:
        raise UsageError(f"A search has at least one trial, not {trials}.")
    folder = scan(Path(data), seed=seed)
    trainings = TrainingRecipes(size, len(folder.train), seed, base)
    proxy = trainings.round(0)
    if epochs is not None:
        proxy = shortened(proxy.with_(epochs=epochs, warmup_epochs=min(1.0, epochs / 10)), 1.0)
    objective = replace(plan.objective if reward is None else load_objective(reward), target=plan.slack)
    _check_pruner(plan, strategy, use)
    if warm_start is not None:
        proxy_of(warm_start)
    named = (space or plan.space) if not isinstance(space, Space) else None
    whole = space if isinstance(space, Space) else load_space(space or plan.space)
    evaluator = PointEvaluator(Path(data).absolute(), seed, whole, use, proxy, out / "work")
    evaluator, width = _with_width(evaluator, named, width, plan.slack)
    settings: dict[str, object] = {"data": folder.fingerprint, "budget": str(wanted), "seed": seed, "trials": trials}
    settings |= {"space": _fingerprint(evaluator), "width": width, "strategy": strategy, "reward": asdict(objective)}
    settings |= {"proxy": proxy.model_dump(), "effort": asdict(size), "warm_start": warm_start}
    workspace = Workspace.of(out, settings, progress_for)
    evaluator = replace(evaluator, work=workspace.folder)
    config = SearchConfig(
        command,
        folder.root.resolve().name,
        strategy,
        str(wanted),
        reward_in_words(objective),
        width,
        trials,
        proxy.epochs,
        workers,
        seed,
        _notes(use, workers),
    )
    first: tuple[Point, ...] = ()
    if warm_start is not None:
        first = warm_start_points(evaluator, warm_start, max(1, trials // FIRST_SHARE), plan.slack)
        say(f"The first {len(first)} points are the best by {warm_start} of {DRAWN} times as many")
    search_run = SearchRun(
        evaluator, objective, plan, config, out, storage or sqlite(out / STUDY_FILE), workspace, say, started, first
    )
    say(_in_words(config, evaluator.space))
    with threads_for(*evaluator.task.size):
        runs = [(strategy, search_run.run(strategy, ray))]
        if control is not False and strategy != CONTROL:
            runs.append((CONTROL, search_run.run(CONTROL, ray, tuple(runs))))
        found = chosen(runs, plan.slack)
        if found is None:
            raise PocketcnnError("No trial ended well: search.html says why, or try more training with --effort.")
        return Searched(*search_run.deliver(found, runs, trainings, wanted))


def _given(**options: object) -> dict[str, str]:
    """Those of the options that not every strategy of `PLANS` reads, and that are not None."""
    return {name: name for name, value in options.items() if value is not None}


def _with_width(
    evaluator: PointEvaluator, named: str | None, width: float | None, most: float
) -> tuple[PointEvaluator, float | None]:
    """The evaluator for the space of that name at a width, and the width: the one that suits the budget if it is not given."""
    if named is None or not has_width(named):
        if width is not None:
            raise UsageError(
                "This space has no width multiplier. Leave --width out: its name or file says how wide it is."
            )
        return evaluator, None
    width = fitting_width(named, evaluator, most) if width is None else width
    return evaluator.on(load_space(named, width)), width


def _fingerprint(evaluator: PointEvaluator) -> str:
    """What tells a space from another: its decisions, and the network of a point."""
    space = evaluator.space
    return f"{space.name} {space.decisions} {evaluator.network(space.at([0] * len(space.decisions)))}"


def _evaluator(budget: Budget) -> BudgetEvaluator:
    """Latencies are predicted from their target's table, measured where there is none, and estimated where it is not here."""
    relative = [limit for limit in budget.limits if limit.relative]
    if relative:
        raise UsageError(
            f"{relative[0]} is a share of a network that is there already, and a search has none: give a number."
        )
    return BudgetEvaluator(budget, LatencySource.EITHER)


def _check_pruner(plan: StrategyConfig, strategy: str, use: BudgetEvaluator) -> None:
    """What prunes layer by layer predicts latencies."""
    if plan.pruner != "rank" and use.measured:
        name = use.measured[0]
        raise UsageError(
            f"The strategy {strategy} narrows layers by predicted latencies, and {name} has no latency table. "
            f"Measure it first: pocketcnn target profile {name}"
        )


def _notes(use: BudgetEvaluator, workers: int) -> tuple[str, ...]:
    if not use.measured:
        return ()
    names = ", ".join(use.measured)
    note = f"{names} has no latency table: latencies were measured network by network"
    busy = ", while other workers kept the machine busy" if workers > 1 else ""
    return (f"{note}{busy}. `pocketcnn target profile {use.measured[0]}` makes a table.",)


def _in_words(config: SearchConfig, space: Space) -> str:
    width = "" if config.width is None else f" at width {config.width:g}"
    return (
        f"{config.data}: {config.strategy} in the space {space.name}{width} ({len(space.decisions)} decisions, up to "
        f"{space.size:.1e} networks), {config.evaluations} evaluations of {config.epochs} epochs"
    )
