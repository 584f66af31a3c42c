"""What `pocketcnn inspect` says of a network: as one document, and as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import format_shape
from pocketcnn.cost.cost import DEFINITIONS, Cost, LayerCost

if TYPE_CHECKING:
    from pocketcnn.cost import PatchPlan
    from pocketcnn.graph import GraphNetwork


def document(source: str, network: "GraphNetwork", cost: Cost, plans: "Sequence[PatchPlan]") -> dict[str, Any]:
    """Everything, for JSON: bytes, and shares from 0 to 1."""
    from pocketcnn.cost.patches import best_of

    best = best_of(plans)
    return {
        "source": source,
        **header(network),
        "definitions": DEFINITIONS,
        "cost": {
            **{name: value for name, value in asdict(cost).items() if name != "layers"},
            "flops": cost.flops,
            "intensity": cost.intensity,
            "layers": [_layer(layer, cost) for layer in cost.layers],
        },
        "patches": {"best": best and asdict(best), "plans": [asdict(plan) for plan in plans]},
    }


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


def _layer(layer: LayerCost, cost: Cost) -> dict[str, Any]:
    access = layer.memory_access_bytes
    return {
        **asdict(layer),
        "flops": layer.flops,
        "params_share": layer.params / cost.params if cost.params else 0.0,
        "weight_share": layer.weight_bytes / cost.weight_bytes if cost.weight_bytes else 0.0,
        "memory_access_bytes": access,
        "memory_access_share": access / cost.memory_access_bytes if cost.memory_access_bytes else 0.0,
        "intensity": layer.intensity,
        "live_share": layer.live_bytes / cost.peak_activation_bytes,
    }


def show(output: Output, network: "GraphNetwork", cost: Cost, plans: "Sequence[PatchPlan]") -> None:
    """The same for people."""
    output.table(
        ("", ""), [*_about(network), *_totals(cost), ("patch-wise first stage", _patches(network, cost, plans))]
    )
    if network.info.lineage:
        stages = [(stage.name, _figures(stage.figures), stage.seed) for stage in network.info.lineage]
        output.table(("stage", "figures", ">seed"), stages, title="Lineage")
    headings = (
        *("layer", "operation", ">output", ">MAdds", ">share", ">parameters", ">weights"),
        *(">memory access", ">intensity", ">live memory"),
    )
    output.table(headings, [_row(layer, cost) for layer in cost.layers], title="Layers")
    output.table(("", ""), list(DEFINITIONS.items()), title="What the figures mean")


def _row(layer: LayerCost, cost: Cost) -> tuple[str, ...]:
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


def _about(network: "GraphNetwork") -> list[tuple[str, str]]:
    info, bits = network.info, {form.bits for form in network.numerics.weights.values()}
    rows = [("name", info.name)] if info.name else []
    rows.append(("input", _input(network)))
    rows.append(("output", format_shape(network.graph.output_shape)))
    if info.classes:
        rows.append(("classes", ", ".join(info.classes)))
    rows.append(("numerics", f"int{max(bits)}{_in_float(network)}" if bits else "float32"))
    return rows


def _in_float(network: "GraphNetwork") -> str:
    """The operations that have no form in integers, with the first node of each."""
    from pocketcnn.graph.integer.interpreter import float_nodes

    graph = network.graph
    nodes: dict[str, list[str]] = {}
    for name in float_nodes(graph):
        nodes.setdefault(graph[name].op, []).append(name)
    said = [f"{op} ({names[0]}{f' and {len(names) - 1} more' if names[1:] else ''})" for op, names in nodes.items()]
    return f"; in float32: {', '.join(said)}" if said else ""


def _input(network: "GraphNetwork") -> str:
    shape, contract = format_shape(network.graph.input_shape), network.info.input
    if contract is None:
        return shape
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (contract.mean, contract.std))
    return f"{shape}, {contract.resize} ({contract.interpolation}), mean {mean}, std {std}"


def _totals(cost: Cost) -> list[tuple[str, str]]:
    from pocketcnn.targets.units import format_bytes, format_count

    return [
        ("MAdds", f"{format_count(cost.madds)} ({format_count(cost.flops)} FLOPs)"),
        ("parameters", format_count(cost.params)),
        ("weights", format_bytes(cost.weight_bytes)),
        ("memory access", format_bytes(cost.memory_access_bytes)),
        ("intensity", f"{cost.intensity:.3g} MAdds a byte"),
        ("peak activations", f"{format_bytes(cost.peak_activation_bytes)}, at {cost.peak_layer}"),
    ]


def _patches(network: "GraphNetwork", cost: Cost, plans: "Sequence[PatchPlan]") -> str:
    from pocketcnn.cost.patches import best_of, first_global
    from pocketcnn.targets.units import format_bytes, format_percent

    best = best_of(plans)
    if best is None:
        end = first_global(network.graph)
        return "would not lower the peak" + (f"; {end.name} ({end.op}) needs the whole of its input" if end else "")
    extra = format_percent(best.extra_madds / cost.madds) if cost.madds else "0 %"
    return (
        f"{format_bytes(best.peak_bytes)} at the peak with {best.grid}x{best.grid} patches up to {best.split}, "
        f"{extra} more MAdds; {format_bytes(best.streamed_peak_bytes)} if the image is read patch by patch"
    )


def _figures(figures: Mapping[str, float | int | str]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
