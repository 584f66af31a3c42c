"""`pocketcnn inspect`: what is in a model file, and what each layer costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import format_shape, parse_input
from pocketcnn.cli.sources import is_file, load_network, named_network

if TYPE_CHECKING:
    from pocketcnn.cost import Cost
    from pocketcnn.graph import GraphNetwork


def inspect(
    network: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="Model file, or a network of the zoo.")],
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """Print what is in a model file and what each layer costs.

    \b
    Examples:
      pocketcnn inspect fitted/model.safetensors
      pocketcnn inspect mobilenet_v2 --width 0.5 --input 3x96x96
    """
    output = Output(as_json)
    if is_file(network):
        found = load_network(Path(network))
    else:
        found = named_network(network, parse_input(input_text), width=width, classes=classes)
    from pocketcnn.cost import count

    cost = count(found.graph)
    output.json({"source": network, **header(found), "cost": cost})
    _print(output, found, cost)


def header(network: "GraphNetwork") -> dict[str, Any]:
    """What travels with the graph."""
    numerics = network.numerics
    return {
        "info": network.info,
        "input_shape": network.graph.input_shape,
        "output_shape": network.graph.output_shape,
        "weight_bits": {name: form.bits for name, form in numerics.weights.items()},
        "activation_bits": {name: form.bits for name, form in numerics.activations.items()},
    }


def _print(output: Output, network: "GraphNetwork", cost: "Cost") -> None:
    from pocketcnn.targets.units import format_bytes, format_count

    output.table(("", ""), [*_about(network), *_totals(cost)])
    if network.info.lineage:
        stages = [(stage.name, _figures(stage.figures), stage.seed) for stage in network.info.lineage]
        output.table(("stage", "figures", ">seed"), stages, title="Lineage")
    headings = ("layer", "operation", ">output", ">MAdds", ">share", ">parameters", ">weights", ">live memory")
    rows = [
        (
            layer.name,
            layer.op,
            format_shape(layer.shape),
            format_count(layer.madds),
            f"{layer.share:.1%}",
            format_count(layer.params),
            format_bytes(layer.weight_bytes),
            format_bytes(layer.live_bytes) + (" (peak)" if layer.name == cost.peak_layer else ""),
        )
        for layer in cost.layers
    ]
    output.table(headings, rows, title="Layers")


def _about(network: "GraphNetwork") -> list[tuple[str, str]]:
    info, bits = network.info, {form.bits for form in network.numerics.weights.values()}
    rows = [("name", info.name)] if info.name else []
    rows.append(("input", _input(network)))
    rows.append(("output", format_shape(network.graph.output_shape)))
    if info.classes:
        rows.append(("classes", ", ".join(info.classes)))
    rows.append(("numerics", f"int{max(bits)}" if bits else "float32"))
    return rows


def _input(network: "GraphNetwork") -> str:
    shape, contract = format_shape(network.graph.input_shape), network.info.input
    if contract is None:
        return shape
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (contract.mean, contract.std))
    return f"{shape}, {contract.resize} ({contract.interpolation}), mean {mean}, std {std}"


def _totals(cost: "Cost") -> list[tuple[str, str]]:
    from pocketcnn.targets.units import format_bytes, format_count

    return [
        ("MAdds", format_count(cost.madds)),
        ("parameters", format_count(cost.params)),
        ("weights", format_bytes(cost.weight_bytes)),
        ("peak activations", f"{format_bytes(cost.peak_activation_bytes)}, at {cost.peak_layer}"),
        ("memory access", format_bytes(cost.memory_access_bytes)),
    ]


def _figures(figures: Mapping[str, float | int | str]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
