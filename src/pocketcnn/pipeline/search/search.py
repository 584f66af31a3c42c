"""`search`: neural architecture search for a folder of images and a budget, up to the deployable file.

Steps: train the proposals of a strategy briefly (proxy training); do the same with random search as the control; train the
best network to the end; then compress, export and measure it as `fit` does.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.latency import LatencySource
from pocketcnn.data import DataFolder, describe, infer_contract, scan
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.nas.objective import load_objective
from pocketcnn.nas.space import Point, Space
from pocketcnn.nas.spaces import has_width, load_space
from pocketcnn.nas.strategies import CONTROL, OPTIONS_READ, StrategyConfig, strategy_config
from pocketcnn.nas.study import sqlite
from pocketcnn.nas.zero_cost import proxy as proxy_of
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.exclusive import writes_to
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
    """The result of `search`: the record of the search, and the result of the deployed network, as from `fit`."""

    search: SearchResult
    fit: FitResult


@writes_to("out")
def search(
    data: str | Path | DataFolder,
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
    force: bool = False,
) -> Searched:
    """Search for a network for the images in `data` that keeps `budget`, and write it to `out`.

    `out` then contains the files of `fit`, and `search.json`, `search.html`, `network.toml` (the network as a point of the
    search space, which can be edited) and `search.db` (all trials, as an Optuna study). The same call resumes an interrupted
    run.

    Args:
        data: a folder of images, see `pocketcnn.data.scan`.
        budget: limits such as ``macs<=2M, latency<=3ms@onnxruntime-cpu``, without percentages.
        out: the folder for the results.
        space: a name of `pocketcnn.nas.spaces.SPACES`, ``scaling:NETWORK``, a .toml or .py file, or a `Space`; the
            default of the strategy if not given.
        strategy: a name of `pocketcnn.nas.strategies.STRATEGIES`.
        trials: number of complete proxy trainings. Successive halving divides them into more, shorter ones.
        width: width multiplier of the space; by default the largest at which half of its networks keep the budget.
        reward: ``accuracy``, ``soft``, ``soft-small`` or ``hard``; the default of the strategy if not given.
        epochs: of a proxy training; set by the effort if not given.
        effort: ``quick``, ``low``, ``medium`` or ``high``, or an `Effort`: the amount of training.
        seed: of the split of the images, of the search and of all trainings.
        workers: number of points evaluated in parallel. With one worker the result is reproducible.
        ray: address of a Ray cluster that evaluates the points.
        storage: address of an Optuna storage for the trials; a SQLite file in `out` if not given.
        control: also run random search with the same number of evaluations, and take the better network. True if not given,
            except for the strategy ``random``, which is the control.
        warm_start: a zero-cost proxy (``synflow``, ``naswot``, ``grad_norm``, ``params``) that selects the first fifth of the
            trials among ten times as many random points. If not given, the strategy proposes its own first points.
        recipe: replaces the default recipe of all trainings. The effort sets the number of epochs.
        progress_for: creates the progress display of a training from its title.
        say: called with each status message.
        command: the command line, for the report.
        force: keep a deployable file that does not compute what the network computes, with a warning in the result.

    Raises:
        UsageError: the folder, the budget, the space or a name is wrong; or the strategy does not use a given option.
        MissingExtra: Optuna or Ray is needed and not installed.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    plan = strategy_config(strategy)
    check_used("strategy", strategy, OPTIONS_READ, _given(reward=reward, control=control))
    requested = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    use, size, out = _evaluator(requested), load_effort(effort), Path(out)
    base = base_recipe(recipe)
    if trials < 1:
        raise UsageError(f"A search has at least one trial, not {trials}.")
    folder = scan(data, seed=seed)
    for line in describe(folder, infer_contract(folder)):
        say(line)
    trainings = TrainingRecipes(size, len(folder.train), seed, base)
    proxy = trainings.round(0)
    if epochs is not None:
        proxy = shortened(proxy.with_(epochs=epochs, warmup_epochs=min(1.0, epochs / 10)), 1.0)
    objective = replace(plan.objective if reward is None else load_objective(reward), target=plan.slack)
    _check_pruner(plan, strategy, use)
    if warm_start is not None:
        proxy_of(warm_start)
    space_name = (space or plan.space) if not isinstance(space, Space) else None
    _check_not_of_the_data(space, DataFolder.of(data).path)
    search_space = space if isinstance(space, Space) else load_space(space or plan.space)
    evaluator = PointEvaluator(DataFolder.of(data).absolute(), seed, search_space, use, proxy, out / "work")
    evaluator, width = _with_width(evaluator, space_name, width, plan.slack)
    settings: dict[str, object] = {
        "data": folder.fingerprint,
        **({"resize": folder.resize} if folder.resize else {}),
        "budget": str(requested),
        "seed": seed,
        "trials": trials,
    }
    settings |= {"space": _fingerprint(evaluator), "width": width, "strategy": strategy, "reward": asdict(objective)}
    settings |= {"proxy": proxy.model_dump(), "effort": asdict(size), "warm_start": warm_start}
    workspace = Workspace.of(out, settings, progress_for)
    evaluator = replace(evaluator, work=workspace.folder)
    config = SearchConfig(
        command,
        folder.root.resolve().name,
        strategy,
        str(requested),
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
        say(
            f"Warm start: the first {len(first)} points are the best by {warm_start} of {DRAWN} times as many random points"
        )
    search_run = SearchRun(
        evaluator,
        objective,
        plan,
        config,
        out,
        storage or sqlite(out / STUDY_FILE),
        workspace,
        say,
        started,
        first,
        force,
    )
    say(_summary(config, evaluator.space))
    with threads_for(*evaluator.task.size):
        runs = [(strategy, search_run.run(strategy, ray))]
        if control is not False and strategy != CONTROL:
            runs.append((CONTROL, search_run.run(CONTROL, ray, tuple(runs))))
        found = chosen(runs, plan.slack)
        if found is None:
            raise PocketcnnError("No trial succeeded. See search.html for the reasons, or train more with --effort.")
        return Searched(*search_run.deliver(found, runs, trainings, requested))


def _check_not_of_the_data(space: str | Space | None, data: Path) -> None:
    """Check that a Python file with a space, which is executed, is not among the images, which may come from anyone.

    Raises:
        UsageError: it lies in the data folder.
    """
    if isinstance(space, str) and space.endswith(".py") and Path(space).resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"The search space {space} lies in the data folder {data}. A Python file is executed, so it is not taken from there: "
            "move it out of the folder if you trust it."
        )


def _given(**options: object) -> dict[str, str]:
    """The given options (not None), as `check_used` takes them."""
    return {name: name for name, value in options.items() if value is not None}


def _with_width(
    evaluator: PointEvaluator, space_name: str | None, width: float | None, max_share: float
) -> tuple[PointEvaluator, float | None]:
    """The evaluator for the space of that name at `width`, and the width, which is chosen for the budget if not given."""
    if space_name is None or not has_width(space_name):
        if width is not None:
            raise UsageError("This space has no width multiplier. Leave --width out: its name or file sets the width.")
        return evaluator, None
    width = fitting_width(space_name, evaluator, max_share) if width is None else width
    return evaluator.on(load_space(space_name, width)), width


def _fingerprint(evaluator: PointEvaluator) -> str:
    """Identifies a search space by its decisions and the network of one point."""
    space = evaluator.space
    return f"{space.name} {space.decisions} {evaluator.network(space.at([0] * len(space.decisions)))}"


def _evaluator(budget: Budget) -> BudgetEvaluator:
    """The evaluator of an absolute budget.

    Latencies are predicted from the table of their target, measured if there is no table, and estimated if the target has
    no runtime on this machine.
    """
    relative = [limit for limit in budget.limits if limit.relative]
    if relative:
        raise UsageError(
            f"{relative[0]} is a percentage of an existing network, and a search has none. Give an absolute limit."
        )
    return BudgetEvaluator(budget, LatencySource.EITHER)


def _check_pruner(plan: StrategyConfig, strategy: str, use: BudgetEvaluator) -> None:
    """Check that a pruner that predicts latencies has the tables it needs."""
    if plan.pruner != "rank" and use.measured:
        name = use.measured[0]
        raise UsageError(
            f"The strategy {strategy} prunes by predicted latencies, and {name} has no latency table. "
            f"Measure it first: pocketcnn target profile {name}"
        )


def _notes(use: BudgetEvaluator, workers: int) -> tuple[str, ...]:
    if not use.measured:
        return ()
    names = ", ".join(use.measured)
    note = f"{names} has no latency table, so the latency of each network was measured"
    busy = ", while other workers used the processor" if workers > 1 else ""
    return (f"{note}{busy}. To predict it instead: `pocketcnn target profile {use.measured[0]}`.",)


def _summary(config: SearchConfig, space: Space) -> str:
    width = "" if config.width is None else f" at width {config.width:g}"
    return (
        f"{config.data}: {config.strategy} in the space {space.name}{width} ({len(space.decisions)} decisions, up to "
        f"{space.size:.1e} networks), {config.evaluations} evaluations of {config.epochs} epochs"
    )
