"""The cells as one Markdown page: a pure function of the lines of the JSON file."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import mean, stdev
from typing import Any

from benchmarks.compression.automatic_table.setting import DATASETS, NETWORKS, RESOURCES, SETTINGS, SHARES

Document = Mapping[str, Any]
UNPRUNED = "unpruned"
OURS = ("best", "rank", "netadapt", "amc")
CONTROLS = ("uniform", "random", "greedy")
PEER = "torch-pruning"
COLUMNS = (UNPRUNED, *OURS, *CONTROLS, PEER)
TITLES = {"madds": "multiply-adds", "latency": "latency on ONNX Runtime, predicted from the target's table"}


def page(documents: Sequence[Document]) -> str:
    """Tables by resource and share, where ours loses, and which cells have run."""
    lines = [
        "# Automatic compression to a budget",
        "",
        "Made by `python -m benchmarks.compression.automatic`; each case is a line of `automatic.jsonl`. All "
        "methods prune the same "
        "trained network to the same limit. Batch-norm statistics are then estimated again, and all networks are "
        "fine-tuned by the "
        "same recipe with the unpruned network as teacher.",
        "",
        "- `rank`, `netadapt` and `amc` are the strategies of `pocketcnn compress`. `torch-pruning` is Torch-Pruning with group "
        "magnitude importance and a global ranking.",
        "- `uniform` has equal and `random` has random pruning ratios. `greedy` has ratios by the sensitivity of each layer "
        "(Li et al., 2017). These three are controls.",
        "- `best` is `compress --allocation best` with a budget that names the target, such as `macs<=50%, "
        "latency<=100%@onnxruntime-cpu`: the most accurate of `rank`, `uniform` and `greedy`.",
        "- Within a layer, all methods but `torch-pruning` rank channels by the same criterion. They differ in the ratios only.",
        "- `best` uses widths at the steps of the target's latency table and reconstructs the remaining layers by "
        "least squares. It "
        "fine-tunes three networks briefly and continues with the lowest loss on the validation images.",
        "- NetAdapt fine-tunes, at each step, the few groups of the lowest importance. These steps come on top of the common "
        "fine-tuning; the last table counts them.",
        "",
        "Accuracy is top-1 on held-out images, mean ± standard deviation over seeds. A dash marks a method that did not keep the "
        "limit or cannot prune the network. **Bold** is the best of a row.",
    ]
    for setting in SETTINGS:
        of_setting = [document for document in documents if document["setting"] == setting]
        if of_setting:
            lines += ["", f"## Setting `{setting}`", *_setting(of_setting)]
    return "\n".join([*lines, "", *_coverage(documents)]) + "\n"


def _setting(documents: Sequence[Document]) -> list[str]:
    lines: list[str] = []
    groups = _grouped(documents, "resource", "share")
    for resource, share in product(RESOURCES, sorted(SHARES, reverse=True)):
        if cells := groups.get((resource, share)):
            lines += ["", f"### {share:.0%} of the {TITLES[resource]}", "", *_accuracies(cells)]
            lines += ["", *_costs(cells)]
    for resource in RESOURCES:
        if cells := [document for document in documents if document["resource"] == resource]:
            lines += ["", *_verdict(cells, resource)]
    return [*lines, "", *_effort(documents)]


def _grouped(documents: Iterable[Document], *names: str) -> dict[tuple[Any, ...], list[Document]]:
    groups: dict[tuple[Any, ...], list[Document]] = defaultdict(list)
    for document in documents:
        groups[tuple(document[name] for name in names)].append(document)
    return groups


def _values(cells: Iterable[Document], method: str, figure: str) -> list[float]:
    found = (cell["methods"].get(method, {}) for cell in cells)
    return [float(figures[figure]) for figures in found if figure in figures]


def _row_head(columns: Sequence[str]) -> list[str]:
    return [
        f"| network | images | seeds | {' | '.join(columns)} |",
        f"| --- | --- | ---: | {' | '.join('---:' for _ in columns)} |",
    ]


def _accuracies(documents: Sequence[Document]) -> list[str]:
    lines = _row_head(COLUMNS)
    for (network, dataset), cells in _ordered(documents):
        means = {name: mean(values) for name in COLUMNS[1:] if (values := _values(cells, name, "top1"))}
        best = max(means.values(), default=0.0)
        shown = [_spread(_values(cells, name, "top1"), best if name != UNPRUNED else None) for name in COLUMNS]
        lines.append(f"| {network} | {dataset} | {len(cells)} | {' | '.join(shown)} |")
    return lines


def _ordered(documents: Sequence[Document]) -> list[tuple[tuple[str, str], list[Document]]]:
    groups = _grouped(documents, "network", "dataset")
    return [(key, groups[key]) for key in product(NETWORKS, DATASETS) if key in groups]


def _spread(values: Sequence[float], best: float | None) -> str:
    if not values:
        return "-"
    text = f"{mean(values):.1%}" + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")
    return f"**{text}**" if best is not None and mean(values) >= best - 1e-9 else text


def _costs(documents: Sequence[Document]) -> list[str]:
    """Multiply-adds that are left, and the measured time beside that of the unpruned network."""
    lines = ["Remaining multiply-adds / remaining measured latency:", "", *_row_head(COLUMNS[1:])]
    for (network, dataset), cells in _ordered(documents):
        shown = []
        for name in COLUMNS[1:]:
            shares = [
                cell["methods"][name]["madds"] / cell["methods"][UNPRUNED]["madds"]
                for cell in cells
                if "madds" in cell["methods"].get(name, {})
            ]
            times = _values(cells, name, "latency_ratio")
            shown.append(f"{mean(shares):.0%} / {mean(times):.0%}" if shares and times else "-")
        lines.append(f"| {network} | {dataset} | {len(cells)} | {' | '.join(shown)} |")
    return lines


def _verdict(documents: Sequence[Document], resource: str) -> list[str]:
    """Ours beside the peer and the controls, cell by cell on the same network and seed."""
    lines = [
        f"### Comparison per seed at equal {TITLES[resource].split(',')[0]}",
        "",
        "Difference of top-1 in percentage points: mean (lowest to highest) over the cases in which both keep the limit, and the "
        "number of cases in which ours is at least as accurate. Failures are counted separately. The ratio of "
        "times is that of the "
        "measured latencies.",
        "",
        "| ours | other | cases | difference | at least as accurate | ratio of times | the other failed | ours failed |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lost: list[str] = []
    for ours, other in product(OURS, (*OURS[1:], *CONTROLS, PEER)):
        if other in OURS and ours != OURS[0]:
            continue
        pairs = [(cell["methods"].get(ours, {}), cell["methods"].get(other, {})) for cell in documents]
        both = [(mine, theirs) for mine, theirs in pairs if "top1" in mine and "top1" in theirs]
        failed = [sum("failed" in pair[side] for pair in pairs) for side in (1, 0)]
        if not both:
            lines.append(f"| {ours} | {other} | 0 | - | - | - | {failed[0]} | {failed[1]} |")
            continue
        points = [100 * (mine["top1"] - theirs["top1"]) for mine, theirs in both]
        times = [mine["latency"] / theirs["latency"] for mine, theirs in both]
        lines.append(
            f"| {ours} | {other} | {len(both)} | {mean(points):+.2f} ({min(points):+.1f} to {max(points):+.1f}) | "
            f"{sum(point >= -1e-9 for point in points)} of {len(both)} | {mean(times):.2f} | {failed[0]} | {failed[1]} |"
        )
        if mean(points) < -1e-9:
            lost.append(f"{ours} to {other}")
    images = "With some hundred test images, each accuracy is uncertain by about a point"
    lines += ["", f"On the average ours loses: {', '.join(lost) or 'nowhere'}. {images}."]
    return [*lines, "", _behind(documents), *_out_of_reach(documents)]


def _behind(documents: Sequence[Document]) -> str:
    """At which points, means over seeds, the best of ours is less accurate than the peer."""
    compared, behind = 0, []
    for (share, network, dataset), cells in sorted(_grouped(documents, "share", "network", "dataset").items()):
        pairs = [[cell["methods"].get(name, {}).get("top1") for name in (OURS[0], PEER)] for cell in cells]
        points = [100 * (mine - theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
        compared += bool(points)
        if points and mean(points) < -1e-9:
            behind.append(f"{network} on {dataset} at {share:.0%} ({mean(points):+.2f})")
    where = f"is less accurate at {len(behind)}: {', '.join(behind)}" if behind else "is less accurate at none"
    solved = f"Of the {compared} combinations of network, images and limit that {PEER} solves"
    return f"{solved}, `{OURS[0]}` {where} (means over seeds)."


def _out_of_reach(documents: Sequence[Document]) -> list[str]:
    """Where none of ours found a network."""
    points = sorted(_grouped(documents, "share", "network", "dataset").items())
    none = [
        f"{network} on {dataset} at {share:.0%}"
        for (share, network, dataset), cells in points
        if not any("top1" in cell["methods"].get(name, {}) for cell in cells for name in OURS)
    ]
    why = "No method keeps the limit for these, because the call and the layers take time that does not depend on the widths"
    return ["", f"{why}: {', '.join(none)}."] if none else []


def _effort(documents: Sequence[Document]) -> list[str]:
    """What choosing costs, before the fine-tuning that all get."""
    lines = [
        "### Cost of the selection",
        "",
        "Processor time in seconds (mean over cases) and steps of short fine-tuning, before the common fine-tuning.",
        "",
        "| method | seconds | training steps | accuracy before fine-tuning |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in COLUMNS[1:]:
        seconds = _values(documents, name, "seconds")
        if seconds:
            steps = _values(documents, name, "short_training_steps")
            before = mean(_values(documents, name, "before_recovery"))
            lines.append(f"| {name} | {mean(seconds):.1f} | {mean(steps) if steps else 0:.0f} | {before:.1%} |")
    return lines


def _coverage(documents: Sequence[Document]) -> list[str]:
    """Which cells of the grid have run."""
    lines = ["## Coverage", ""]
    for setting in SETTINGS.values():
        ran = {
            (document["resource"], document["share"], document["dataset"], document["network"], document["seed"])
            for document in documents
            if document["setting"] == setting.name
        }
        grid = list(product(RESOURCES, SHARES, DATASETS, NETWORKS, setting.seeds))
        lines.append(f"Setting `{setting.name}`: {len(ran & set(grid))} of {len(grid)} cells.")
        lines.append("")
        if not ran:
            continue
        lines += ["| resource | share | " + " | ".join(f"{d}, {n}" for d, n in product(DATASETS, NETWORKS)) + " |"]
        lines += ["| --- | ---: | " + " | ".join("---:" for _ in product(DATASETS, NETWORKS)) + " |"]
        for resource, share in product(RESOURCES, sorted(SHARES)):
            counts = [
                sum((resource, share, *place, seed) in ran for seed in setting.seeds)
                for place in product(DATASETS, NETWORKS)
            ]
            of = len(setting.seeds)
            lines.append(f"| {resource} | {share:.0%} | " + " | ".join(f"{count} of {of}" for count in counts) + " |")
        lines.append("")
    return lines[:-1]
