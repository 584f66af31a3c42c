"""The results of all targets as one Markdown page."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

PREDICTOR = "latency table"
OF_DRAWN = "latency table, drawn from timm"
WITHIN, RANK = 0.95, 0.98
"""The goal: share of the networks within 10 %, and rank correlation."""


def page(documents: Sequence[Mapping[str, Any]]) -> str:
    """A table of all targets, then the networks of each."""
    lines = [
        "# Predicted and measured latency of held-out networks",
        "",
        "Made by `python -m benchmarks.predictor --target TARGET`, once for each target. The goal: 95 % of the networks within "
        "10 %, and a rank correlation of 0.98.",
        "",
        "- **Table.** The latency table contains blocks of random networks only. A runtime that loads networks slowly has fewer "
        "blocks in its table: ExecuTorch has some 100 after eight minutes, too few for a page.",
        "- **Networks.** A fixed list of the zoo, torchvision and timm, and, on newer pages, networks drawn anew from all of "
        "timm at each run. The drawing depends on a seed, which is in the JSON file.",
        "- **Turns.** The table is measured in slices, and the networks are timed after each slice. A machine "
        "that becomes slower "
        "does so for both. A reference network shows by how much (`reference` in the JSON files).",
        "- **Controls.** The linear controls use rates that were fitted to the other networks of this list. In the control of "
        "lone layers each layer is timed alone.",
        "",
        "| target | numerics | predicted by | networks | mean error | within 10 % | largest error | rank correlation |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for document in documents:
        for form, found in document["numerics"].items():
            lines += [_summary(_title(document), form, name, how) for name, how in found["summary"].items()]
    lines += ["", *_missed(documents)]
    for document in documents:
        lines += ["", *_target(document)]
    return "\n".join(lines) + "\n"


def _missed(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where the goal is not reached, with the size of the table, and what is predicted worst there."""
    lines = ["## Where the goal is missed", ""]
    for document in documents:
        for form, found in document["numerics"].items():
            how = found["summary"][PREDICTOR]
            if how["within_10_percent"] < WITHIN or how["rank_correlation"] < RANK:
                worst = sorted(found["networks"], key=lambda row: -abs(row[PREDICTOR] / row["measured"] - 1))[:4]
                names = ", ".join(f"{row['name']} ({row[PREDICTOR] / row['measured'] - 1:+.0%})" for row in worst)
                calls = median(row["p90"] / row["p10"] - 1 for row in found["networks"])
                inside = [row["low"] <= row["measured"] <= row["high"] for row in found["networks"] if "low" in row]
                sure = f" {sum(inside) / len(inside):.0%} lie in their 90 % interval." if inside else ""
                lines.append(
                    f"- {_title(document)}, {form}: {how['within_10_percent']:.0%} within 10 %, rank correlation "
                    f"{how['rank_correlation']:.3f}, {found['points']} blocks. The calls of one network vary by "
                    f"{calls:.0%} (10th to 90th percentile, median of the networks).{sure} Largest errors: {names}."
                )
    return lines if len(lines) > 2 else [*lines, "Nowhere."]


def has_avx512(document: Mapping[str, Any]) -> bool:
    """Whether the processor has AVX-512: kernel libraries then compute blocks of other sizes."""
    return any(flag.startswith("avx512") for flag in document["circumstances"]["machine"]["flags"])


def _title(document: Mapping[str, Any]) -> str:
    return f"{document['target']}{'' if has_avx512(document) else ' (AVX2)'}"


def _summary(target: str, form: str, name: str, how: Mapping[str, float]) -> str:
    return (
        f"| {target} | {form} | {name} | {how['networks']} | {how['mean_error']:.1%} | {how['within_10_percent']:.0%} "
        f"| {how['largest_error']:.0%} | {how['rank_correlation']:.3f} |"
    )


def _target(document: Mapping[str, Any]) -> list[str]:
    here = document["circumstances"]
    lines = [
        f"## {_title(document)}",
        "",
        f"{here['runtime']} {here['version']}, {here['threads']} thread(s) of {here['machine']['cpu']}. The table took "
        f"{document['table_seconds']:.0f} s, the fit {document['fit_seconds']:.1f} s.",
    ]
    for form, found in document["numerics"].items():
        lines += [
            "",
            f"### {form}, {found['points']} blocks in the table",
            "",
            "| network | measured, ms (p10 to p90) | predicted, ms | error |",
            "| --- | ---: | ---: | ---: |",
        ]
        lines += [_network(row) for row in found["networks"]]
    return lines


def _network(row: Mapping[str, Any]) -> str:
    measured, low, high = (1e3 * row[name] for name in ("measured", "p10", "p90"))
    predicted = 1e3 * row[PREDICTOR]
    return f"| {row['name']} | {measured:.2f} ({low:.2f} to {high:.2f}) | {predicted:.2f} | {predicted / measured - 1:+.1%} |"
