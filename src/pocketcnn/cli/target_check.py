"""`pocketcnn target check`: what a device makes of a network, and the network made over for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, RecipeFile, Width
from pocketcnn.cli.outcome import resumed_by_the_same_command
from pocketcnn.cli.output import Output, percent
from pocketcnn.cli.shapes import format_shape
from pocketcnn.cli.sources import network_from
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.pipeline.choices import KERNELS, joined, listed
from pocketcnn.pipeline.networks import is_file

if TYPE_CHECKING:
    from pocketcnn.graph import GraphNetwork
    from pocketcnn.pipeline.compress.adapt import AdaptedNetwork
    from pocketcnn.records.result import Accuracy
    from pocketcnn.targets.check import Check


def check(
    network: Annotated[
        str, typer.Argument(metavar="FILE_OR_NAME", help="Model file, ONNX file, or a network of the zoo.")
    ],
    target: Annotated[str, typer.Option("--target", help="Name of a target, or its .toml file.")],
    substitute: Annotated[
        bool, typer.Option("--substitute", help="Replace what the target lacks, and write the result to --out.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Model file to write, with --substitute.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of images to recover the accuracy with, after --substitute.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of recovery; 10 if not given.")] = None,
    kernels: Annotated[str, typer.Option(help=f"What a 5x5 depthwise kernel becomes: {listed(KERNELS)}.")] = "pair",
    recipe: RecipeFile = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the split of the images; that of the model file if not given.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 3 if any layer falls back.")] = False,
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """List the layers of a network that a device cannot run, and what that costs.

    With --substitute, each of them becomes what the device has, and with --data the network is trained to answer as before.
    Times are estimates from the device's rates, never measurements.

    Exit code 3: the network does not run there, because RAM or storage are too small or nothing runs a layer.

    \b
    Examples:
      pocketcnn target check mobilenet_v3_large --target dsp-npu
      pocketcnn target check trained/model.safetensors --target dsp-npu --substitute --data photos --out made_over.safetensors
    """
    _check_options(substitute, out, data, kernels, network)
    from pocketcnn.pipeline.deploy.checking import check_target
    from pocketcnn.targets import load_target

    output = Output(as_json)
    device = load_target(target)
    found = network_from(network, input_text, width, classes)
    checked = check_target(found, device)
    made = _made_over(found, target, out, data, epochs, kernels, recipe, seed, output) if out else None
    output.json({"source": network, **checked.as_dict(), **({"made_over": made.as_dict()} if made else {})})
    _print(output, checked)
    if made is not None and out is not None:
        _print_made(output, made, out)
    _conclude(made.check if made else checked, strict)


def _check_options(substitute: bool, out: Path | None, data: Path | None, kernels: str, network: str) -> None:
    if substitute and out is None:
        raise UsageError("--substitute needs --out: the model file to write, such as made_over.safetensors.")
    if out is not None and out.suffix != ".safetensors":
        raise UsageError(f"--out {out}: a model file ends in .safetensors.")
    if kernels not in KERNELS:
        raise UsageError(f"--kernels is {joined(KERNELS)}, not '{kernels}'.")
    if data is not None and not is_file(network):
        raise UsageError(
            f"'{network}' has no trained weights to recover. Train it first: pocketcnn train {data} --network {network} "
            "--out trained; then give trained/model.safetensors."
        )


def _made_over(
    network: "GraphNetwork",
    target: str,
    out: Path,
    data: Path | None,
    epochs: int | None,
    kernels: str,
    recipe: Path | None,
    seed: int | None,
    output: Output,
) -> "AdaptedNetwork":
    from pocketcnn.cli.stage_progress import stage_progress
    from pocketcnn.pipeline.compress.adapt import adapt_to_target
    from pocketcnn.training import Recipe

    with resumed_by_the_same_command(out.parent):
        return adapt_to_target(
            network,
            target,
            out,
            data,
            epochs=epochs,
            seed=seed,
            kernels=kernels,  # type: ignore[arg-type] # one of them, see `_check_options`
            recipe=Recipe.from_toml(recipe) if recipe else None,
            progress_for=stage_progress,
            say=output.say,
        )


def _print(output: Output, checked: "Check") -> None:
    from pocketcnn.targets.units import format_bytes, format_count, format_seconds

    if checked.fallen:
        headings = ("layer", "operation", ">output", "why", ">MAdds", ">to the fallback", ">back", ">estimate")
        rows = [
            (
                layer.name,
                layer.op,
                format_shape(layer.shape),
                layer.why,
                format_count(layer.madds),
                format_bytes(layer.bytes_out),
                format_bytes(layer.bytes_back),
                format_seconds(layer.seconds) if layer.seconds is not None else "",
            )
            for layer in checked.fallen
        ]
        output.table(headings, rows, title=f"Layers that {checked.target} cannot run")
    output.print()
    for line in _summary(checked):
        output.print(line)


def _summary(checked: "Check") -> list[str]:
    from pocketcnn.targets.units import format_bytes, format_percent

    lines = []
    if checked.fallen:
        where = f"run on the {checked.fallback}" if checked.fallback else "have nothing to run them"
        lines += [
            f"{len(checked.fallen)} layers {where}: {format_percent(checked.fallen_share)} of the multiply-adds",
            f"{checked.transfers} values cross ({format_bytes(checked.transfer_bytes)}), and the rest runs in "
            f"{checked.partitions} parts",
        ]
    else:
        lines.append(f"{checked.target} runs every layer in {checked.numerics}")
    if not checked.runs_numerics:
        lines.append(f"{checked.target} does not run networks in {checked.numerics}")
    if checked.slowed:
        factors = ", ".join(f"{factor:g}" for factor in sorted({layer.factor for layer in checked.slowed}))
        lines.append(
            f"{len(checked.slowed)} layers take {factors} times as long as its rates say: {checked.slowed[0].why}"
        )
    lines += [f"{verdict} ({verdict.figure.how})" for verdict in checked.limits]
    return lines + _time_line(checked)


def _time_line(checked: "Check") -> list[str]:
    from pocketcnn.targets.units import format_percent, format_seconds

    if checked.estimate is None:
        if checked.fallen and checked.fallback is None:
            return []
        return [
            f"no time: {checked.target} has no rates; `pocketcnn target calibrate` measures those of a runtime here"
        ]
    seconds, away = checked.estimate.seconds, checked.estimate.fallback_seconds
    share = f", {format_percent(away / seconds)} of it for the layers that fall back" if checked.fallen else ""
    return [
        f"at least {format_seconds(seconds)} an image in {checked.numerics}{share} (an estimate, not a measurement)"
    ]


def _print_made(output: Output, made: "AdaptedNetwork", out: Path) -> None:
    output.table(
        ("layer", "was", "is now"),
        [(change.name, change.was, change.now) for change in made.changes],
        title="Substituted",
    )
    output.print()
    for line in _summary(made.check):
        output.print(line)
    if made.accuracies is not None:
        stages = ("before", made.accuracies.given), ("substituted", made.accuracies.substituted)
        rows = [(name, _accuracy(found)) for name, found in (*stages, ("recovered", made.accuracies.recovered))]
        output.table(("test accuracy", ""), rows)
    else:
        output.print("The weights want training: give --data, or train the file against the network it was made from.")
    output.print(f"model file  {out}")


def _accuracy(found: "Accuracy") -> str:
    return f"{percent(found.top1)} (95 % interval {percent(found.low)} to {percent(found.high)}, {found.images} images)"


def _conclude(checked: "Check", strict: bool) -> None:
    """Raises `BudgetNotMet` where the network does not run on the target."""
    if missed := checked.shortfalls(strict=strict):
        raise BudgetNotMet(f"The network does not run on {checked.target}: {'; '.join(missed)}.")
