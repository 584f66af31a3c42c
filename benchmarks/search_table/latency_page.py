"""The part of the page about searches for a measured latency."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.search_table.at_latency import ANCHOR, SLACK, SPACE
from benchmarks.search_table.setting import AT_LATENCY, DATASETS, Setting
from benchmarks.search_table.statistics import interval

Document = Mapping[str, Any]


def at_latency(documents: Sequence[Document], setting: Setting) -> list[str]:
    """What was found for a latency, beside the zoo at that latency."""
    own = [each for each in documents if each["part"] == "latency"]
    if not own:
        return []
    width = next(each["width"] for each in own if each["key"] == "width")
    lines = [
        "",
        "### Search for a measured latency, and the zoo at the same latency",
        "",
        f"The budget is the latency of {ANCHOR[0]} {ANCHOR[1]:g}x for one image of {setting.latency_side}x"
        f"{setting.latency_side} on ONNX Runtime, one thread. Each network is timed in turns with it, and "
        f"{SLACK - 1:.0%} more is "
        f"allowed. The space is `{SPACE}` at width {width:g}; about half of its networks keep the budget.",
        "",
        f"Each search has {setting.latency_evaluations} evaluations of {setting.latency_epochs} epochs and the hard reward. The "
        f"best network of each strategy that keeps the budget is trained in full ({setting.latency_final_epochs} epochs), and so "
        "are MobileNetV2, MobileNetV3-Small and ShuffleNetV2 at the largest width that keeps it. Final accuracies are those of "
        "test images.",
    ]
    for dataset in DATASETS:
        rows = [each for each in own if each.get("dataset") == dataset]
        if rows:
            lines += ["", f"#### {dataset}", "", *_searches(rows), "", *_networks(rows)]
    return lines


def _searches(rows: Sequence[Document]) -> list[str]:
    lines = [
        "| strategy | seeds | validation accuracy of the best in budget | evaluations that kept the budget |",
        "| --- | ---: | ---: | ---: |",
    ]
    for strategy in AT_LATENCY:
        own = [each for each in rows if each.get("strategy") == strategy and each["val"] is not None]
        if own:
            kept = sum(each["kept"] for each in own) / len(own)
            lines.append(f"| {strategy} | {len(own)} | {_with_interval([each['val'] for each in own])} | {kept:.1f} |")
    return lines


def _networks(rows: Sequence[Document]) -> list[str]:
    measured = next((each for each in rows if "latencies" in each), None)
    if measured is None:
        return ["Not trained in full yet."]
    lines = ["| network | found by | seeds | test accuracy | budget used | latency | multiply-adds |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for number, name in enumerate(measured["found"], start=1):
        finders = [f"{each['strategy']} {each['seed']}" for each in rows if _name(each) == name]
        lines += _row(f"found {number}", ", ".join(finders), name, rows, measured)
    zoo = sorted({each["network"] for each in rows if "network" in each} - set(measured["found"]))
    for name in zoo:
        lines += _row(f"{name}x", "the zoo", name, rows, measured)
    found = _means(rows, measured["found"])
    others = _means(rows, zoo)
    if found and others:
        best, peer = max(found.values()), max(others.values())
        lines += ["", _verdict(len(found), sum(mean >= peer for mean in found.values()), best, peer)]
    return lines


def _verdict(networks: int, ahead: int, best: float, peer: float) -> str:
    return (
        f"Of the {networks} networks that searches found, {ahead} are at least as accurate as the best of the zoo "
        "at that latency; "
        f"the best of them has {best:.1%}, the best of the zoo {peer:.1%}."
    )


def _means(rows: Sequence[Document], names: Sequence[str]) -> dict[str, float]:
    tests = {name: [each["test"] for each in rows if each.get("network") == name] for name in names}
    return {name: interval(values).mean for name, values in tests.items() if values}


def _name(row: Document) -> str:
    return " ".join(map(str, row["places"])) if row.get("places") else ""


def _row(title: str, by: str, name: str, rows: Sequence[Document], measured: Document) -> list[str]:
    tests = [each["test"] for each in rows if each.get("network") == name]
    if not tests:
        return []
    of = measured["latencies"][name]
    figures = f"{of['use']:.0%} | {1e6 * of['seconds']:.0f} µs | {of['madds']:,}"
    return [f"| {title} | {by} | {len(tests)} | {_with_interval(tests)} | {figures} |"]


def _with_interval(values: Sequence[float]) -> str:
    """The mean with its interval; of fewer than three values the values, which say more."""
    if len(values) < 3:
        return ", ".join(f"{value:.3f}" for value in values)
    found = interval(values)
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"
