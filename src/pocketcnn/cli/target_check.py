"""`pocketcnn target check`: checks a network for a device, and substitutes unsupported operations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, RecipeFile, Width
from pocketcnn.cli.outcome import resumed_by_the_same_command
from pocketcnn.cli.output import Output, percent
from pocketcnn.cli.shapes import format_shape
from pocketcnn.cli.sources import network_from
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.models.pretrained.source import demands_weights
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
        bool, typer.Option("--substitute", help="Replace unsupported operations, and write the result to --out.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Model file to write, with --substitute.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of images for recovering the accuracy after --substitute.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the recovery. Default: 10.")] = None,
    kernels: Annotated[str, typer.Option(help=f"Replacement of a 5x5 depthwise kernel: {listed(KERNELS)}.")] = "pair",
    recipe: RecipeFile = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the split of the images. Default: that of the model file.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 3 if any layer runs on the fallback.")
    ] = False,
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """List the layers of a network that a device does not support, and their cost.

    With --substitute, they are replaced by supported operations. With --data, the result is fine-tuned with the original
    network as teacher. Times are estimates from the device's rates, not measurements.

    Exit code 3: the network does not run there, because RAM or storage is too small, or a layer has no fallback.

    \b
    Examples:
      pocketcnn target check mobilenet_v3_large --target dsp-npu
      pocketcnn target check trained/model.safetensors --target dsp-npu --substitute --data photos --out adapted.safetensors
    """
    _check_options(substitute, out, data, kernels, network)
    from pocketcnn.pipeline.deploy.checking import check_target
    from pocketcnn.targets import load_target

    output = Output(as_json)
    device = load_target(target)
    found = network_from(network, input_text, width, classes)
    checked = check_target(found, device)
    adapted = _adapted(found, target, out, data, epochs, kernels, recipe, seed, output) if out else None
    output.json({"source": network, **checked.as_dict(), **({"made_over": adapted.as_dict()} if adapted else {})})
    _print(output, checked)
    if adapted is not None and out is not None:
        _print_adapted(output, adapted, out)
    _conclude(adapted.check if adapted else checked, strict)


def _check_options(substitute: bool, out: Path | None, data: Path | None, kernels: str, network: str) -> None:
    if substitute and out is None:
        raise UsageError("--substitute needs --out: the model file to write, such as adapted.safetensors.")
    if out is not None and out.suffix != ".safetensors":
        raise UsageError(f"--out {out}: a model file ends in .safetensors.")
    if kernels not in KERNELS:
        raise UsageError(f"--kernels is {joined(KERNELS)}, not '{kernels}'.")
    if data is not None and not (is_file(network) or demands_weights(network)):
        raise UsageError(
            f"'{network}' is not trained, so there is no accuracy to recover. Train it first: pocketcnn train {data} "
            f"--network {network} --out trained; then give trained/model.safetensors."
        )


def _adapted(
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
            kernels=kernels,  # type: ignore[arg-type] # checked in `_check_options`
            recipe=Recipe.from_toml(recipe) if recipe else None,
            progress_for=stage_progress,
            say=output.say,
        )


def _print(output: Output, checked: "Check") -> None:
    from pocketcnn.targets.units import format_bytes, format_count, format_seconds

    if checked.fallen:
        headings = ("layer", "operation", ">output", "reason", ">MAdds", ">to the fallback", ">back", ">estimate")
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
        output.table(headings, rows, title=f"Layers that {checked.target} does not support")
    output.print()
    for line in _summary(checked):
        output.print(line)


def _summary(checked: "Check") -> list[str]:
    from pocketcnn.targets.units import format_bytes, format_percent

    lines = []
    if checked.fallen:
        where = f"run on the {checked.fallback}" if checked.fallback else "have no fallback"
        lines += [
            f"{len(checked.fallen)} layers {where}: {format_percent(checked.fallen_share)} of the multiply-adds",
            f"{checked.transfers} tensors are transferred ({format_bytes(checked.transfer_bytes)}), and the rest runs in "
            f"{checked.partitions} partitions",
        ]
    else:
        lines.append(f"{checked.target} runs every layer in {checked.numerics}")
    if not checked.runs_numerics:
        lines.append(f"{checked.target} does not run networks in {checked.numerics}")
    if checked.slowed:
        factors = ", ".join(f"{factor:g}" for factor in sorted({layer.factor for layer in checked.slowed}))
        lines.append(
            f"{len(checked.slowed)} layers take {factors} times as long as the rates predict: {checked.slowed[0].why}"
        )
    lines += [f"{verdict} ({verdict.figure.how})" for verdict in checked.limits]
    return lines + _time_line(checked)


def _time_line(checked: "Check") -> list[str]:
    from pocketcnn.targets.units import format_percent, format_seconds

    if checked.estimate is None:
        if checked.fallen and checked.fallback is None:
            return []
        return [
            f"no time estimate: {checked.target} has no peak rates; `pocketcnn target calibrate` measures them for a "
            "runtime on this machine"
        ]
    seconds, away = checked.estimate.seconds, checked.estimate.fallback_seconds
    share = f", {format_percent(away / seconds)} of it for the layers on the fallback" if checked.fallen else ""
    return [
        f"at least {format_seconds(seconds)} per image in {checked.numerics}{share} (an estimate, not a measurement)"
    ]


def _print_adapted(output: Output, adapted: "AdaptedNetwork", out: Path) -> None:
    output.table(
        ("layer", "before", "after"),
        [(change.name, change.was, change.now) for change in adapted.changes],
        title="Substituted",
    )
    output.print()
    for line in _summary(adapted.check):
        output.print(line)
    if adapted.accuracies is not None and adapted.baselines is not None:
        stages = ("before", adapted.accuracies.given), ("substituted", adapted.accuracies.substituted)
        rows = [(name, _accuracy(found)) for name, found in (*stages, ("recovered", adapted.accuracies.recovered))]
        output.table(("test accuracy", ""), rows)
        output.print(f"to compare  {adapted.baselines.words(adapted.network.info.classes)}")
    else:
        output.print(
            "The weights need training: give --data, or fine-tune the file with the original network as teacher."
        )
    output.print(f"model file  {out}")


def _accuracy(found: "Accuracy") -> str:
    return f"{percent(found.top1)} (95 % interval {percent(found.low)} to {percent(found.high)}, {found.images} images)"


def _conclude(checked: "Check", strict: bool) -> None:
    """Raise `BudgetNotMet` if the network does not run on the target."""
    if missed := checked.shortfalls(strict=strict):
        raise BudgetNotMet(f"The network does not run on {checked.target}: {'; '.join(missed)}.")
