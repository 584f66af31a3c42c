"""`pocketcnn compress`: compresses a trained network until it keeps a budget."""

from pathlib import Path
from typing import Annotated

import typer

from pocketcnn.cli.options import (
    BudgetText,
    Data,
    Effort,
    Fit,
    FollowLinks,
    Force,
    FromScratch,
    Json,
    RecipeFile,
    RequireAccuracy,
    Teachers,
    Width,
    data_folder,
    data_options,
    writable_folder,
)
from pocketcnn.cli.outcome import command_line, conclude, resumed_by_the_same_command
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import parse_size
from pocketcnn.errors import UsageError
from pocketcnn.files import write_bytes
from pocketcnn.pipeline.choices import ALLOCATIONS, COMPRESS_STRATEGIES, CRITERIA, PROPOSAL_RULES, listed

MODEL = ".safetensors"


def results_folder(out: Path) -> Path:
    """The folder of the results: for a model file ``small.safetensors``, the folder ``small`` beside it."""
    return out.with_suffix("") if out.suffix == MODEL else out


def _writable(out: Path) -> Path:
    if out.suffix == MODEL and out.is_dir():
        raise UsageError(f"--out {out} is a folder. Choose another name for the model file.")
    writable_folder(results_folder(out))
    return out


def compress(
    network: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_NAME",
            help="Model file; or a network of the zoo, imagenet:NAME, timm:NAME, torchvision:NAME or hf:OWNER/NAME, which is "
            "trained first.",
        ),
    ],
    data: Data,
    budget: BudgetText,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            callback=_writable,
            help="Folder for the results; or a .safetensors file, whose results are in a folder beside it.",
        ),
    ],
    width: Width = 1.0,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Input size of a network by name: 32 or 24x32. Default: that of the images."),
    ] = None,
    from_scratch: FromScratch = False,
    effort: Effort = "low",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Random seed, also of the split. Default: that of the model file.")
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(help=f"How to decide the pruning of each layer: {listed(COMPRESS_STRATEGIES)}."),
    ] = "rank",
    stages: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Strategy rank: stages of pruning, with fine-tuning after each. Default: 1, or 2 for strong pruning.",
        ),
    ] = None,
    criterion: Annotated[str, typer.Option(help=f"Importance criterion of channels: {listed(CRITERIA)}.")] = "energy",
    allocation: Annotated[
        str,
        typer.Option(
            help="Strategy rank: distribution of the pruning over the layers. "
            f"{'; '.join(f'{name} {words}' for name, words in ALLOCATIONS.items())}."
        ),
    ] = "global",
    reconstruct: Annotated[
        bool,
        typer.Option(help="Strategy rank: fit the weights of layers that read removed channels, before fine-tuning."),
    ] = True,
    choose: Annotated[
        str, typer.Option(help=f"Strategy netadapt: which proposal a step keeps: {listed(PROPOSAL_RULES)}.")
    ] = "accuracy",
    resolution: Annotated[str | None, typer.Option(metavar="HxW", help="Smaller input size: 96 or 96x128.")] = None,
    blocks: Annotated[int, typer.Option(min=0, help="Largest number of residual blocks to remove for the budget.")] = 0,
    small_kernels: Annotated[
        bool, typer.Option("--small-kernels", help="Crop kernels of 5x5 and more to 3x3.")
    ] = False,
    sparsity: Annotated[
        str | None,
        typer.Option(help="Share of weights set to zero, for a smaller coded file: 80%, or the pattern 2:4."),
    ] = None,
    cluster_bits: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=8,
            help="Cluster the weights of each layer to 2^BITS values, for a smaller coded file.",
            metavar="BITS",
        ),
    ] = None,
    max_loss: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Accepted loss of validation accuracy in one step: 0.02 is two points. After a larger loss, fine-tuning is "
            "longer; a loss that remains is a warning.",
        ),
    ] = 0.02,
    entropy_code: Annotated[
        bool,
        typer.Option(
            "--entropy-code",
            help="Entropy-code the model file, as a limit on `coded` does. The deployable file is not coded.",
        ),
    ] = False,
    teacher: Teachers = None,
    recipe: RecipeFile = None,
    follow_links: FollowLinks = False,
    resize: Fit = None,
    force: Force = False,
    require_accuracy: RequireAccuracy = False,
    as_json: Json = False,
) -> None:
    """Compress a trained network until it keeps a budget.

    The network is pruned and quantized as far as the budget needs, and fine-tuned. For a limit on latency, the strategies
    netadapt and amc need the latency table of the target: measure it first with `pocketcnn target profile`.

    Writes the same files as fit, with the same exit code 3 if the budget cannot be met. Percentages in the budget refer to
    the given network. After Ctrl-C, the same command resumes.

    \b
    Examples:
      pocketcnn compress trained/model.safetensors photos --budget "macs<=50%, size<=100kB" --out smaller
      pocketcnn compress imagenet:efficientnet_lite0 photos --size 128 --budget "macs<=50%" --out small.safetensors
      pocketcnn compress trained/model.safetensors photos --budget "coded<=20kB" --sparsity 67% --cluster-bits 6 --out tiny
    """
    from pocketcnn.cli.stage_progress import stage_progress
    from pocketcnn.pipeline.compress.compress import compress as compress_to_budget
    from pocketcnn.pipeline.compress.strategies import check_strategy
    from pocketcnn.pipeline.compression_method import CompressionMethod
    from pocketcnn.pipeline.pretrained import source_network
    from pocketcnn.pipeline.recipes import without_duration
    from pocketcnn.pipeline.train.trained_network import trained_network
    from pocketcnn.targets import Budget
    from pocketcnn.training import Recipe

    output = Output(as_json)
    source = data_folder(data, follow_links, resize)
    limits = Budget.parse(budget)  # before anything is trained
    check_strategy(strategy)
    options = {"budget": budget, "out": out, "width": width if width != 1 else None, "effort": effort, "seed": seed}
    options |= {"strategy": strategy if strategy != "rank" else None, "size": size, "stages": stages}
    options |= {"criterion": criterion if criterion != CompressionMethod.criterion else None}
    options |= {
        "allocation": allocation if allocation != CompressionMethod.allocation else None,
        "blocks": blocks or None,
    }
    options |= {"resolution": resolution, "sparsity": sparsity, "cluster-bits": cluster_bits, "teacher": teacher}
    options |= {"choose": choose if choose != CompressionMethod.choose else None}
    options |= {"max-loss": max_loss if max_loss != CompressionMethod.max_loss else None}
    flags = [
        *(["--small-kernels"] if small_kernels else []),
        *(["--from-scratch"] if from_scratch else []),
        *(["--entropy-code"] if entropy_code else []),
        *([] if reconstruct else ["--no-reconstruct"]),
        *data_options(follow_links, resize),
        *(["--force"] if force else []),
    ]
    method = CompressionMethod(
        criterion=criterion,
        allocation=allocation,
        stages=stages,
        reconstruct=reconstruct,
        choose=choose,
        resolution=parse_size(resolution) if resolution else None,
        blocks=blocks,
        small_kernels=small_kernels,
        sparsity=sparsity,
        cluster_bits=cluster_bits,
        entropy_code=entropy_code,
        max_loss=max_loss,
    )
    teachers = [source_network(path) for path in teacher or ()]
    folder, base_recipe = results_folder(out), Recipe.from_toml(recipe) if recipe else None
    with resumed_by_the_same_command(folder):
        parent = trained_network(
            network,
            source,
            folder / "parent",
            width=width,
            size=parse_size(size) if size else None,
            from_scratch=from_scratch,
            recipe=base_recipe,
            seed=seed,
            progress_for=output.progress,
            say=output.say,
        )
        result = compress_to_budget(
            parent,
            source,
            limits,
            folder,
            effort=effort,
            seed=parent.info.split_seed if seed is None else seed,
            strategy=strategy,
            method=method,
            teachers=teachers,
            recipe=without_duration(base_recipe),
            progress_for=stage_progress,
            say=output.say,
            command=command_line("compress", (network, str(data), *flags), {**options, "recipe": recipe}),
            force=force,
        )
    if out != folder:
        write_bytes(out, (folder / "model.safetensors").read_bytes())
    conclude(output, result, folder, must_be_accurate=require_accuracy)
