"""`pocketcnn search`: neural architecture search for a folder of images and a budget."""

from typing import Annotated

import typer

from pocketcnn.cli.options import (
    BudgetText,
    Data,
    Effort,
    Fit,
    FollowLinks,
    Force,
    Json,
    Out,
    RecipeFile,
    RequireAccuracy,
    Seed,
    data_folder,
    data_options,
)
from pocketcnn.cli.outcome import command_line, conclude, resumed_by_the_same_command
from pocketcnn.cli.output import Output
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.choices import REWARDS, SEARCH_SPACES, SEARCH_STRATEGIES, ZERO_COST_PROXIES, joined, listed


def search(
    data: Data,
    budget: BudgetText,
    out: Out,
    strategy: Annotated[
        str,
        typer.Option(help=f"Search strategy: {listed(SEARCH_STRATEGIES)}."),
    ] = "mnasnet",
    space: Annotated[
        str | None,
        typer.Option(
            help=f"Search space: {joined([*SEARCH_SPACES, 'scaling:NETWORK', 'a .toml or .py file'])}. A .py file is "
            "executed. Default: by strategy."
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of proxy trainings (short trainings of one network each).")
    ] = 30,
    width: Annotated[
        float | None,
        typer.Option(
            help="Width multiplier of the space. Default: the largest at which half of the networks keep the budget."
        ),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(help=f"Reward: {listed(REWARDS)} (as in MnasNet). Default: by strategy."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each proxy training. Default: by effort.")
    ] = None,
    effort: Effort = "low",
    workers: Annotated[int, typer.Option(min=1, help="Number of networks trained in parallel.")] = 1,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of a Ray cluster for the proxy trainings, or local.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="Address of an Optuna storage for the trials. Default: a SQLite file in --out.")
    ] = None,
    control: Annotated[
        bool, typer.Option(help="Also run random search with the same number of trials, and compare.")
    ] = True,
    warm_start: Annotated[
        str | None,
        typer.Option(
            help=f"Start with the best of many random networks by a zero-cost proxy: {listed(ZERO_COST_PROXIES)}."
        ),
    ] = None,
    seed: Seed = 0,
    recipe: RecipeFile = None,
    follow_links: FollowLinks = False,
    resize: Fit = None,
    force: Force = False,
    require_accuracy: RequireAccuracy = False,
    as_json: Json = False,
) -> None:
    """Search for a network for a folder of images that keeps a budget.

    Writes the same files as fit, and search.html (Pareto front of accuracy and cost beside that of random search),
    search.json, search.db (an Optuna study) and network.toml (the network's blocks, which can be edited). After Ctrl-C, the
    same command resumes.

    \b
    Examples:
      pocketcnn search photos --strategy mnasnet --budget "latency<=3ms@onnxruntime-cpu" --trials 100 --out found
      pocketcnn search photos --strategy evolution --space mine.toml --budget "macs<=5M" --workers 4 --out found
    """
    from pocketcnn.cli.stage_progress import stage_progress
    from pocketcnn.nas.strategies import ONCE_FOR_ALL, OPTIONS_READ
    from pocketcnn.training import Recipe

    if strategy not in OPTIONS_READ:
        raise UsageError(f"There is no strategy {strategy!r}; choose {', '.join(OPTIONS_READ)}.")
    output = Output(as_json)
    source = data_folder(data, follow_links, resize)
    given = {"budget": budget, "out": out, "strategy": strategy, "space": space, "trials": trials, "width": width}
    given |= {"reward": reward, "epochs": epochs, "effort": effort, "workers": workers, "ray": ray, "storage": storage}
    given |= {"warm-start": warm_start, "seed": seed, "recipe": recipe}
    flags = [
        *([] if control else ["--no-control"]),
        *data_options(follow_links, resize),
        *(["--force"] if force else []),
    ]
    command = command_line("search", (str(data), *flags), given)
    base_recipe = Recipe.from_toml(recipe) if recipe else None
    with resumed_by_the_same_command(out):
        if strategy == ONCE_FOR_ALL:
            from pocketcnn.pipeline.search.once_for_all import once_for_all

            found = once_for_all(
                source,
                budget,
                out,
                effort=effort,
                seed=seed,
                recipe=base_recipe,
                progress_for=stage_progress,
                say=output.say,
                command=command,
                force=force,
            )
            result = found.results[0]
        else:
            from pocketcnn.pipeline.search.search import search as search_for

            result = search_for(
                source,
                budget,
                out,
                space=space,
                strategy=strategy,
                trials=trials,
                width=width,
                reward=reward,
                epochs=epochs,
                effort=effort,
                seed=seed,
                workers=workers,
                ray=ray,
                storage=storage,
                control=None if control else False,
                warm_start=warm_start,
                recipe=base_recipe,
                progress_for=stage_progress,
                say=output.say,
                command=command,
                force=force,
            ).fit
            output.print(f"the search           {out / 'search.html'}")
    conclude(output, result, out, must_be_accurate=require_accuracy)
