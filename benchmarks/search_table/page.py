"""What the strategies found as one Markdown page: a pure function of the lines of the JSON file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.search_table.finals import ZOO
from benchmarks.search_table.latency_page import at_latency
from benchmarks.search_table.setting import CONTROL, CONTROLLERS, DATASETS, SETTINGS, STRATEGIES, TASKS, TIGHT, Setting
from benchmarks.search_table.statistics import compared, interval

Document = Mapping[str, Any]
Wanted = Callable[[Document], bool]
WHAT = {
    "accuracy": "the value of a point, from 0 for the worst to 1 for the best",
    "soft": "the value times (cost / budget)^-0.07",
}
CERTAIN = 0.01


def page(documents: Sequence[Document]) -> str:
    """Tables of what has run."""
    lines = [
        "# Search strategies beside random search",
        "",
        "Made by `python -m benchmarks.search`; the results of each run are in `search.jsonl`. Random search is the control. "
        "Each strategy gets as many evaluations. An evaluation is one full proxy training; successive halving divides it into "
        "several shorter ones. `nasnet` and `mnasnet` are one controller (an LSTM trained by PPO) with the "
        "rewards of their papers.",
        "",
        "Figures are means over seeds with 95 % intervals. p is the probability of such a result if the strategy "
        "is no better than "
        "random search, by Wilcoxon's signed-rank test over seeds (the same problem for both) and by the Mann-Whitney test. "
        "**Bold** is the best of a table.",
    ]
    for setting in SETTINGS.values():
        own = [each for each in documents if each["setting"] == setting.name]
        if own:
            lines += ["", f"## Setting `{setting.name}`", *_synthetic(own, setting), *_real(own, setting)]
            lines += at_latency(own, setting)
    return "\n".join([*lines, "", *_coverage(documents)]) + "\n"


def _synthetic(documents: Sequence[Document], setting: Setting) -> list[str]:
    own = [each for each in documents if each["part"] == "synthetic"]
    if not own:
        return []
    lines = [
        "",
        "### Spaces with a known optimum",
        "",
        "Sixteen decisions with four choices each, 4.3 · 10⁹ points. Choices and pairs of neighbouring choices have random "
        "values, new for each seed, so that the best point is known (`search_table/synthetic.py`). Nothing is trained.",
    ]
    suffix = "" if setting.name == "cpu" else f"-{setting.name}"
    for task in TASKS:
        rows = [each for each in own if each["task"] == task]
        if rows:
            lines += ["", f"#### Reward: {WHAT[task]}", "", f"![curves](search-{task}{suffix}.svg)", ""]
            lines += _table(rows, setting.evaluations, "reward")
    return [*lines, "", *_controllers(own)]


def _controllers(own: Sequence[Document]) -> list[str]:
    """Whether the controllers beat random search, as they must."""
    lines = []
    for strategy, task in CONTROLLERS.items():
        ours, control = _paired(own, strategy, lambda each, task=task: each["task"] == task)  # type: ignore[misc]
        if ours:
            found = compared(ours, control)
            better = "beats" if max(found.paired, found.unpaired) < CERTAIN else "does not beat"
            lines.append(
                f"The controller `{strategy}`, with the reward of its paper, {better} random search at p < "
                f"{CERTAIN:g}: better on "
                f"{found.wins} of {found.seeds} seeds, p = {found.paired:.1e} (Wilcoxon), {found.unpaired:.1e} "
                "(Mann-Whitney)."
            )
    return lines


def _real(documents: Sequence[Document], setting: Setting) -> list[str]:
    lines: list[str] = []
    for dataset in DATASETS:
        rows = [each for each in documents if each["part"] == "runs" and each["dataset"] == dataset]
        if not rows:
            continue
        points = sum(each["part"] == "points" and each["dataset"] == dataset for each in documents)
        cost, bound, best = rows[0]["cost"], rows[0]["bound"], rows[0]["best"]
        limit = (
            f"{1e6 * bound:.0f} µs predicted on ONNX Runtime" if cost == "seconds" else f"{bound:,.0f} multiply-adds"
        )
        suffix = "" if setting.name == "cpu" else f"-{setting.name}"
        lines += [
            "",
            f"### Real images: {dataset}",
            "",
            f"All {points} networks of a small space (`search_table/small.toml`) were trained once for {setting.epochs} epochs "
            f"on {setting.side}x{setting.side} images, so that searches with many seeds need no training. Accuracies "
            "are those of "
            "validation images. "
            f"The budget, {limit}, is kept by {TIGHT:.0%} of them; the best that keeps it has {best:.2%}. The "
            "reward is the accuracy within the budget (MnasNet's hard constraint).",
            "",
            f"![curves](search-{dataset}{suffix}.svg)",
            "",
            *_table(rows, setting.real_evaluations, "accuracy"),
            "",
            _verdict(rows),
            *_finals(documents, dataset, setting),
        ]
    return lines


def _verdict(rows: Sequence[Document]) -> str:
    """Who is better than random search, and who is not."""
    better, others = [], []
    for strategy in STRATEGIES:
        ours, control = _paired(rows, strategy, lambda _: True)
        if strategy != CONTROL and ours:
            (better if compared(ours, control).paired < CERTAIN else others).append(strategy)
    return (
        f"Better than random search at p < {CERTAIN:g} (Wilcoxon): {', '.join(better) or 'none'}. "
        f"No significant difference: {', '.join(others) or 'none'}."
    )


def _table(rows: Sequence[Document], evaluations: int, what: str) -> list[str]:
    """The best after a quarter, half and all of the evaluations, the front, and the comparison with random search."""
    checkpoints = (evaluations // 4, evaluations // 2, evaluations)
    heads = " | ".join(f"best {what} after {count}" for count in checkpoints)
    lines = [f"| strategy | seeds | {heads} | hyper-volume | better on | p, Wilcoxon | p, Mann-Whitney |"]
    lines.append("| --- | ---: |" + " ---: |" * (len(checkpoints) + 4))
    finals = {strategy: _last(rows, strategy) for strategy in STRATEGIES}
    top = max((interval(values).mean for values in finals.values() if values), default=0.0)
    for strategy in STRATEGIES:
        own = [each for each in rows if each["strategy"] == strategy]
        if not own:
            continue
        cells = []
        for count in checkpoints:
            values = [each["curve"][count - 1] for each in own if each["curve"][count - 1] is not None]
            text = _with_interval(values) if len(values) == len(own) else "-"
            is_best = count == evaluations and values and interval(values).mean >= top
            cells.append(f"**{text}**" if is_best else text)
        cells.append(_with_interval([each["area"] for each in own]))
        ours, control = _paired(rows, strategy, lambda _: True)
        if strategy == CONTROL or not ours:
            cells += ["", "", ""]
        else:
            found = compared(ours, control)
            cells += [f"{found.wins} of {found.seeds}", f"{found.paired:.1e}", f"{found.unpaired:.1e}"]
        lines.append(f"| {strategy} | {len(own)} | {' | '.join(cells)} |")
    return lines


def _last(rows: Sequence[Document], strategy: str) -> list[float]:
    return [each["curve"][-1] for each in rows if each["strategy"] == strategy and each["curve"][-1] is not None]


def _paired(rows: Sequence[Document], strategy: str, wanted: Wanted) -> tuple[list[float], list[float]]:
    """The last values of a strategy and of random search at the seeds that both have."""
    of = {
        name: {each["seed"]: each["curve"][-1] for each in rows if each["strategy"] == name and wanted(each)}
        for name in (strategy, CONTROL)
    }
    seeds = sorted(of[strategy].keys() & of[CONTROL].keys())
    seeds = [seed for seed in seeds if of[strategy][seed] is not None and of[CONTROL][seed] is not None]
    return [of[strategy][seed] for seed in seeds], [of[CONTROL][seed] for seed in seeds]


def _with_interval(values: Sequence[float]) -> str:
    found = interval(values)
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _finals(documents: Sequence[Document], dataset: str, setting: Setting) -> list[str]:
    """What was found, trained in full, beside the zoo at the same measured latency."""
    own = [each for each in documents if each["part"] == "finals" and each["dataset"] == dataset]
    measured = next((each for each in own if "latencies" in each), None)
    if measured is None:
        return []
    lines = [
        "",
        "For each strategy, the network of the search with the median result, trained in full "
        f"({setting.final_epochs} epochs). For comparison, networks of the zoo at the largest width that is no slower than the "
        "slowest of these, or at the smallest width if none is as fast. Latencies are those of one image on ONNX Runtime, one "
        "thread, timed in turns in one run. Accuracies are those of test images.",
        "",
        "| network | found by | seeds | test accuracy | latency | multiply-adds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    finders = _finders(documents, dataset)
    for number, name in enumerate(measured["points"]):
        tests = [each["test"] for each in own if each.get("point") == name]
        if tests:
            lines.append(
                _final_row(f"point {name}", ", ".join(finders.get(name, [])), tests, measured, f"point {number}")
            )
    for network in ZOO:
        rows = [each for each in own if each.get("network") == network]
        if rows:
            key = f"{network} {rows[0]['width']:g}"
            lines.append(
                _final_row(
                    f"{network} {rows[0]['width']:g}x", "the zoo", [each["test"] for each in rows], measured, key
                )
            )
        else:
            lines.append(f"| {network} | the zoo | 0 | not run yet | - | - |")
    return lines


def _final_row(name: str, by: str, tests: Sequence[float], measured: Document, key: str) -> str:
    latency = measured["latencies"][key]
    span = f"{1e6 * latency['median']:.0f} µs ({1e6 * latency['p10']:.0f} to {1e6 * latency['p90']:.0f})"
    return f"| {name} | {by} | {len(tests)} | {_with_interval(tests)} | {span} | {latency['madds']:,} |"


def _finders(documents: Sequence[Document], dataset: str) -> dict[str, list[str]]:
    """By point, the strategies whose search with the middle result found it."""
    found: dict[str, list[str]] = {}
    for strategy in STRATEGIES:
        rows = [
            each
            for each in documents
            if each["part"] == "runs" and each["dataset"] == dataset and each["strategy"] == strategy and each["point"]
        ]
        ranked = sorted(rows, key=lambda each: (each["curve"][-1], each["seed"]))
        if ranked:
            found.setdefault(ranked[len(ranked) // 2]["point"], []).append(strategy)
    return found


def _coverage(documents: Sequence[Document]) -> list[str]:
    """What has run."""
    lines = ["## What has run", "", "| setting | part | lines |", "| --- | --- | ---: |"]
    for setting in SETTINGS:
        for part in ("synthetic", "points", "runs", "finals", "latency"):
            count = sum(each["setting"] == setting and each["part"] == part for each in documents)
            lines.append(f"| {setting} | {part} | {count} |")
    return lines
