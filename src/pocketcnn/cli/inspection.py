"""The tables of `pocketcnn inspect`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import format_shape

if TYPE_CHECKING:
    from pocketcnn.cost import Cost, LayerCost
    from pocketcnn.graph import GraphNetwork
    from pocketcnn.pipeline.inspect import Inspection


def show(output: Output, found: "Inspection") -> None:
    """Print all tables."""
    network, cost = found.network, found.cost
    output.table(("", ""), [*_about(found), *_totals(cost), ("patch-wise first stage", _patches(found))])
    if network.info.lineage:
        stages = [(stage.name, _figures(stage.figures), stage.seed) for stage in network.info.lineage]
        output.table(("stage", "figures", ">seed"), stages, title="Lineage")
    headings = (
        *("layer", "operation", ">output", ">MAdds", ">share", ">parameters", ">weights"),
        *(">memory access", ">intensity", ">live memory"),
    )
    output.table(headings, [_row(layer, cost) for layer in cost.layers], title="Layers")
    output.table(("", ""), list(found.as_dict()["definitions"].items()), title="What the figures mean")


def _row(layer: "LayerCost", cost: "Cost") -> tuple[str, ...]:
    from pocketcnn.targets.units import format_bytes, format_count

    return (
        layer.name,
        layer.op,
        format_shape(layer.shape),
        format_count(layer.madds),
        f"{layer.share:.1%}",
        format_count(layer.params),
        format_bytes(layer.weight_bytes),
        format_bytes(layer.memory_access_bytes),
        f"{layer.intensity:.3g}" if layer.madds else "",
        format_bytes(layer.live_bytes) + (" (peak)" if layer.name == cost.peak_layer else ""),
    )


def _about(found: "Inspection") -> list[tuple[str, str]]:
    network = found.network
    info, bits = network.info, {form.bits for form in network.numerics.weights.values()}
    rows = [("name", info.name)] if info.name else []
    rows.append(("input", _input(network)))
    rows.append(("output", format_shape(network.graph.output_shape)))
    if info.classes:
        rows.append(("classes", ", ".join(info.classes)))
    rows.append(("numerics", f"int{max(bits)}{_in_float(found)}" if bits else "float32"))
    return rows


def _in_float(found: "Inspection") -> str:
    """The operations of a quantized network that run in float32, with the first node of each."""
    operations = [
        f"{op} ({names[0]}{f' and {len(names) - 1} more' if names[1:] else ''})"
        for op, names in found.float_operations.items()
    ]
    return f"; in float32: {', '.join(operations)}" if operations else ""


def _input(network: "GraphNetwork") -> str:
    shape, contract = format_shape(network.graph.input_shape), network.info.input
    if contract is None:
        return shape
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (contract.mean, contract.std))
    return f"{shape}, {contract.resize} ({contract.interpolation}), mean {mean}, std {std}"


def _totals(cost: "Cost") -> list[tuple[str, str]]:
    from pocketcnn.targets.units import format_bytes, format_count

    return [
        ("MAdds", f"{format_count(cost.madds)} ({format_count(cost.flops)} FLOPs)"),
        ("parameters", format_count(cost.params)),
        ("weights", format_bytes(cost.weight_bytes)),
        ("memory access", format_bytes(cost.memory_access_bytes)),
        ("intensity", f"{cost.intensity:.3g} MAdds/byte"),
        ("peak activations", f"{format_bytes(cost.peak_activation_bytes)}, at {cost.peak_layer}"),
    ]


def _patches(found: "Inspection") -> str:
    from pocketcnn.targets.units import format_bytes, format_percent

    best, cost = found.best_plan, found.cost
    if best is None:
        end = found.whole_input_node
        return "does not lower the peak" + (f"; {end.name} ({end.op}) needs its whole input" if end else "")
    extra = format_percent(best.extra_madds / cost.madds) if cost.madds else "0 %"
    return (
        f"peak of {format_bytes(best.peak_bytes)} with {best.grid}x{best.grid} patches up to {best.split}, "
        f"{extra} more MAdds; {format_bytes(best.streamed_peak_bytes)} if the image is read patch by patch"
    )


def _figures(figures: Mapping[str, float | int | str]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
