"""The page of the comparison, from its JSON alone."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

Row = dict[str, Any]
PEER = "Torch-Pruning, "


def page(document: dict[str, Any]) -> str:
    """The whole page in Markdown."""
    rows: Sequence[Row] = document["rows"]
    networks = list(dict.fromkeys(row["network"] for row in rows))
    seeds = len({row["seed"] for row in rows})
    parts = [_head(document, seeds), _reading(rows)]
    parts += [_section(network, [row for row in rows if row["network"] == network]) for network in networks]
    return "\n\n".join(parts) + "\n"


def _head(document: dict[str, Any], seeds: int) -> str:
    told, machine = document, document["machine"]["cpu"]
    return f"""# Pruning criteria

Small networks trained on scikit-learn's digits ({told["side"]}x{told["side"]} pixels, {told["train"]} training images,
{told["test"]} held out) are pruned to a share of their multiply-adds by each criterion in one step. All are fine-tuned for
{told["recovery_steps"]} optimizer steps with the unpruned network as teacher. Widths are multiples of {told["multiple"]}.

Figures are the mean of {seeds} seeds with the lowest and highest. The first table of a network is the accuracy on held-out
images after fine-tuning. The second is that before fine-tuning, with batch-norm statistics estimated on {told["evidence"]}
training images. Torch-Pruning runs in the same process on the same networks, with its own importances, one global ranking, and
fifty steps until the limit is kept.

`python -m benchmarks.compression.pruning` writes this page; {told["seconds"] // 60} minutes on {machine}, one thread."""


def _reading(rows: Sequence[Row]) -> str:
    """Where ours is ahead and where it is not, criterion by criterion, in the mean of the seeds."""
    lines = ["## Summary", ""]
    for name in dict.fromkeys(row["method"].removeprefix(PEER) for row in rows if row["method"].startswith(PEER)):
        won, lost, failed = _against(rows, name)
        total = len(won) + len(lost) + len(failed)
        line = f"- **{name}**: ours is at least as accurate as Torch-Pruning's in {len(won)} of {total} cases"
        line += f"; behind in {', '.join(lost)}" if lost else ""
        line += f"; Torch-Pruning has no result in {', '.join(failed)}" if failed else ""
        lines.append(line + ".")
    ours = [row for row in rows if not row["method"].startswith(PEER) and "top1" in row and row["share"] < 1]
    ranked = sorted(
        (
            (mean(row["top1"] for row in ours if row["method"] == name), name)
            for name in {row["method"] for row in ours}
        ),
        reverse=True,
    )
    lines.append(
        f"- Our criteria from best to worst, mean over all cases: {', '.join(f'{name} {share:.1%}' for share, name in ranked)}."
    )
    return "\n".join(lines)


def _against(rows: Sequence[Row], name: str) -> tuple[list[str], list[str], list[str]]:
    """The cases (network at share) that ours wins or ties, loses, and in which Torch-Pruning failed on every seed."""
    won: list[str] = []
    lost: list[str] = []
    failed: list[str] = []
    for network in dict.fromkeys(row["network"] for row in rows):
        for share in sorted({row["share"] for row in rows if row["share"] < 1}, reverse=True):
            mine, theirs = (_of(rows, network, method, share, "top1") for method in (name, PEER + name))
            case = f"{network} at {share:.0%}"
            if not theirs:
                failed.append(case)
            elif mine and mean(mine) >= mean(theirs):
                won.append(case)
            else:
                lost.append(case)
    return won, lost, failed


def _of(rows: Sequence[Row], network: str, method: str, share: float, figure: str) -> list[float]:
    return [
        row[figure]
        for row in rows
        if (row["network"], row["method"], row["share"]) == (network, method, share) and figure in row
    ]


def _section(network: str, rows: Sequence[Row]) -> str:
    whole = next(row for row in rows if row["method"] == "unpruned")
    shares = sorted({row["share"] for row in rows if row["share"] < 1}, reverse=True)
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != "unpruned"]
    accuracy = _spread(_of(rows, network, "unpruned", 1.0, "top1"))
    parts = [f"## {network}", f"Unpruned: {accuracy} at {whole['madds'] / 1e6:.2f} M multiply-adds."]
    for title, figure in (("After fine-tuning", "top1"), ("Before fine-tuning", "before"), ("Kept", "madds_kept")):
        head = [f"| {title} | " + " | ".join(f"{share:.0%} of multiply-adds" for share in shares) + " |"]
        head.append("| --- |" + " --- |" * len(shares))
        body = [
            f"| {method} | " + " | ".join(_cell(rows, network, method, share, figure) for share in shares) + " |"
            for method in methods
        ]
        parts.append("\n".join(head + body))
    if notes := _failures(rows):
        parts.append("\n".join(notes))
    return "\n\n".join(parts)


def _cell(rows: Sequence[Row], network: str, method: str, share: float, figure: str) -> str:
    found = _of(rows, network, method, share, figure)
    return _spread(found) if found else "no result"


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1%}"
    return f"{mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def _failures(rows: Sequence[Row]) -> list[str]:
    """What was said where there is no result, once for each method and message."""
    told = dict.fromkeys((row["method"], row["failed"]) for row in rows if "failed" in row)
    return [f"- {method}: `{message}`" for method, message in told]
