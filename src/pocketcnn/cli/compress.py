"""`pocketcnn compress`: a trained network is made smaller until it keeps a budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import BudgetText, Data, Effort, Json, Out, RecipeFile, Width
from pocketcnn.cli.outcome import command_line, conclude, resumed_by_the_same_command
from pocketcnn.cli.output import Output
from pocketcnn.cli.sources import is_file, load_network
from pocketcnn.cli.train import chosen_recipe, prepare, run

if TYPE_CHECKING:
    from pocketcnn.graph import GraphNetwork


def compress(
    network: Annotated[
        str, typer.Argument(metavar="FILE_OR_NAME", help="Model file, or a network of the zoo, which is trained first.")
    ],
    data: Data,
    budget: BudgetText,
    out: Out,
    width: Width = 1.0,
    effort: Effort = "low",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the split and of all draws; that of the model file if not given.")
    ] = None,
    recipe: RecipeFile = None,
    as_json: Json = False,
) -> None:
    """Make a trained network smaller until it keeps a budget.

    It is pruned and quantized as far as the budget needs, with recovery by fine-tuning.

    Leaves the same files as fit, and like fit ends with exit code 3 if the budget cannot be met. Percentages of the budget
    are of the network as it is given.

    \b
    Example:
      pocketcnn compress trained/model.safetensors photos --budget "macs<=50%, size<=100kB" --out smaller
    """
    from pocketcnn.cli.stage_progress import stage_progress
    from pocketcnn.pipeline.compress import compress as compress_to_budget
    from pocketcnn.targets import Budget
    from pocketcnn.training import Recipe

    output = Output(as_json)
    limits = Budget.parse(budget)  # before anything is trained
    options = {"budget": budget, "out": out, "width": width if width != 1 else None, "effort": effort, "seed": seed}
    with resumed_by_the_same_command(out):
        parent = _parent(network, data, width, seed, recipe, out / "parent", output)
        result = compress_to_budget(
            parent,
            data,
            limits,
            out,
            effort=effort,
            seed=parent.info.split_seed if seed is None else seed,
            recipe=Recipe.from_toml(recipe) if recipe else None,
            progress_for=stage_progress,
            say=output.say,
            command=command_line("compress", (network, str(data)), {**options, "recipe": recipe}),
        )
    conclude(output, result, out)


def _parent(
    network: str, data: Path, width: float, seed: int | None, recipe: Path | None, out: Path, output: Output
) -> "GraphNetwork":
    """The network of the file, or the one of that name, trained with its checkpoints in `out`."""
    if is_file(network):
        return load_network(Path(network))
    job = prepare(data, network, width, None, chosen_recipe(recipe, None, seed), None)
    output.say(f"Training {job.plan.name}, which is to be compressed")
    return run(job, out, resume=True, output=output)[0]
