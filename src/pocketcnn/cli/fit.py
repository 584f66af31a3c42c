"""`pocketcnn fit`: trains a network for a folder of images and a budget."""

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
    Teachers,
    data_folder,
    data_options,
)
from pocketcnn.cli.outcome import command_line, conclude, resumed_by_the_same_command
from pocketcnn.cli.output import Output


def fit(
    data: Data,
    budget: BudgetText,
    out: Out,
    effort: Effort = "low",
    seed: Seed = 0,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Network of the zoo to consider; may be repeated. Default: MobileNet V1 to V3."),
    ] = None,
    teacher: Teachers = None,
    recipe: RecipeFile = None,
    follow_links: FollowLinks = False,
    resize: Fit = None,
    force: Force = False,
    require_accuracy: RequireAccuracy = False,
    as_json: Json = False,
) -> None:
    """Train a network for a folder of images that keeps a budget.

    Writes model.onnx (the file to deploy) with its sidecar model.json, predict.py, model.safetensors, report.html, stages.csv and
    result.json to the output folder. If the budget cannot be met, the exit code is 3 and the closest network is written.
    After Ctrl-C, the same command resumes.

    \b
    Example:
      pocketcnn fit photos --budget "size<=300kB, latency<=5ms@onnxruntime-cpu" --out fitted
    """
    from pocketcnn.cli.stage_progress import stage_progress
    from pocketcnn.models import network_options
    from pocketcnn.pipeline.fit.fit import fit as fit_to_budget
    from pocketcnn.pipeline.pretrained import source_network
    from pocketcnn.training import Recipe

    for name in network or ():
        network_options(name)  # raises for an unknown name, with a suggestion
    output = Output(as_json)
    source = data_folder(data, follow_links, resize)
    options = {"budget": budget, "out": out, "effort": effort, "seed": seed, "network": network, "teacher": teacher}
    options["recipe"] = recipe
    teachers = [source_network(path) for path in teacher or ()]
    with resumed_by_the_same_command(out):
        result = fit_to_budget(
            source,
            budget,
            out,
            effort=effort,
            seed=seed,
            networks=network or None,
            teachers=teachers,
            recipe=Recipe.from_toml(recipe) if recipe else None,
            progress_for=stage_progress,
            say=output.say,
            command=command_line(
                "fit", (str(data), *data_options(follow_links, resize), *(["--force"] if force else [])), options
            ),
            force=force,
        )
    conclude(output, result, out, must_be_accurate=require_accuracy)
