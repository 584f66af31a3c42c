"""`pocketcnn target layers`: compares the measured time of each layer with its roofline bound."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import format_shape
from pocketcnn.cli.sources import network_from

if TYPE_CHECKING:
    from pocketcnn.targets.bottlenecks import Bottleneck, Bottlenecks


def layers(
    network: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="Model file, or a network of the zoo.")],
    target: Annotated[str, typer.Option("--target", help="Name of a target, or its .toml file.")] = "onnxruntime-cpu",
    runs: Annotated[int, typer.Option(min=1, help="Number of measured runs.")] = 50,
    top: Annotated[int, typer.Option(min=0, help="Only the slowest layers; 0 for all.")] = 0,
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """Measure every layer with the profiler of the runtime, and list which are far from their bound, and why.

    The bound is the roofline: the larger of multiply-adds / peak rate and bytes / bandwidth. A target without rates is
    calibrated first.

    \b
    Examples:
      pocketcnn target layers shufflenet_v2
      pocketcnn target layers fitted/model.safetensors --target openvino-cpu --top 10
    """
    from pocketcnn.pipeline.latency.calibrate import with_rates
    from pocketcnn.targets import load_target
    from pocketcnn.targets.bottlenecks import bottlenecks

    output = Output(as_json)
    found = load_target(target)
    graph = network_from(network, input_text, width, classes).graph
    measured = bottlenecks(graph, with_rates(found, output.say), runs=runs)
    if top:
        measured = replace(measured, layers=tuple(sorted(measured.layers, key=lambda layer: -layer.seconds)[:top]))
    output.json(measured)
    _print(output, measured)


def _print(output: Output, found: "Bottlenecks") -> None:
    from pocketcnn.targets.units import format_seconds

    headings = ("layer", "operation", ">output", ">time", ">share", ">bound", ">x bound", "reason")
    output.table(headings, [_row(layer) for layer in found.layers])
    output.print(
        f"\n{found.target}, {found.numerics}: {format_seconds(found.seconds)} in layers, "
        f"bound {format_seconds(found.bound)}; the resolution of the profiler is 1 µs."
    )


def _row(layer: "Bottleneck") -> tuple[str, ...]:
    from pocketcnn.targets.units import format_seconds

    return (
        layer.name,
        layer.op,
        format_shape(layer.shape),
        format_seconds(layer.seconds),
        f"{layer.share:.1%}",
        f"{format_seconds(layer.bound)} {layer.bound_by}" if layer.bound else "",
        f"{layer.times_bound:.1f}" if layer.bound else "",
        layer.why,
    )
