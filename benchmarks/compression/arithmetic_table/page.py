"""The figures as Markdown, from the JSON alone."""

from collections.abc import Mapping
from typing import Any

TITLE = "# The integer arithmetic beside ONNX Runtime"


def page(document: Mapping[str, Any]) -> str:
    """The page of a document as `benchmarks.compression.arithmetic` writes it."""
    return "\n".join([*_head(document), "", *_networks(document), "", *_operators(document)]) + "\n"


def _head(document: Mapping[str, Any]) -> list[str]:
    crops = document["crops"]
    judged, seen = (crops[kind] * len(crops["photographs"]) for kind in ("judged", "calibration"))
    return [
        TITLE,
        "",
        "Made by `python -m benchmarks.compression.arithmetic`: EfficientNet-Lite with its ImageNet weights on "
        f"{judged} crops of {len(crops['photographs'])} photographs, calibrated on {seen} others, in ONNX Runtime "
        f"{document['onnxruntime']} and torch {document['torch']} on {document['machine']['cpu']}. "
        "[The integer arithmetic](../../arithmetic.md) defines what is computed and explains why the runtime differs by a step.",
    ]


def _networks(document: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Networks",
        "",
        "| network | values per image | different in NumPy integers |",
        "| --- | --- | --- |",
    ]
    for name, found in document["networks"].items():
        lines.append(f"| {name} | {found['values']:,} | {found['values_unequal_to_integers']} |")
    lines += [
        "",
        "Two simulations: with sums in float32 (training mode) and with exact sums (eval mode). The first columns "
        "compare each layer "
        "on the inputs that it has in the runtime, the others the whole network.",
        "",
        "| network | sums | largest difference of a layer, in steps | different integers per million | layers with any "
        "| equal integers of the last layer | same class | ms per image |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in document["networks"].items():
        for form, beside in found["beside_onnxruntime"].items():
            lines.append(_row(name, form, beside, found["seconds"][form]))
    return lines


def _row(name: str, form: str, beside: Mapping[str, float], seconds: float) -> str:
    cells = [
        name,
        form,
        f"{beside['largest_step']:.0f}",
        _per_million(beside["equal_by_layer"]),
        f"{beside['layers_apart']}",
        f"{beside['equal_at_end']:.2%}",
        f"{beside['same_answer']:.1%}",
        f"{seconds * 1e3:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _per_million(equal: float) -> str:
    """What a share leaves over, of a million."""
    return f"{(1 - equal) * 1e6:.3f}" if equal < 1 else "0"


def _operators(document: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Operations",
        "",
        "Each for all 256 integers, or all pairs of them, in many random formats.",
        "",
        "| operation | integers compared | different per million | largest difference, in steps |",
        "| --- | --- | --- | --- |",
    ]
    for name, found in document["operations"].items():
        lines.append(
            f"| {name} | {found['integers']:,} | {_per_million(found['equal'])} | {found['largest_step']:.0f} |"
        )
    return lines
