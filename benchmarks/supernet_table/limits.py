"""What limits the ranking of a supernet: supernets with one change, longer trainings alone, and which choices are valued."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

from scipy.stats import spearmanr

from benchmarks.supernet_table.ablations import ABLATIONS, LONGER_ALONE
from benchmarks.supernet_table.correlations import ceiling, correlations, of_ceiling
from benchmarks.supernet_table.intervals import Rows, correlation

Seeds = Sequence[Mapping[str, Any]]
Network = Mapping[str, Any]

CHOICES: Mapping[str, Callable[[Network], float]] = {
    "image size": lambda network: network["choice"]["size"][0],
    "blocks": lambda network: sum(map(len, network["choice"]["stages"])),
    "kernels": lambda network: mean(kernel for blocks in network["choice"]["stages"] for kernel, _ in blocks),
    "expansions": lambda network: mean(expansion for blocks in network["choice"]["stages"] for _, expansion in blocks),
}


def limits(found: Mapping[str, Any], seeds: Seeds, rankings: Mapping[str, Rows]) -> list[str]:
    """The section, with what was measured."""
    return ["## What limits it", "", *_ablations(seeds), *_longer(seeds), *_valued(found["networks"], seeds, rankings)]


def _ablations(seeds: Seeds) -> list[str]:
    """Supernets with one change, beside the same supernet without it on the same seeds."""
    alone = [seed["alone"] for seed in seeds]
    truth = [mean(each) for each in zip(*alone, strict=True)]
    rows = []
    for name, ablation in ABLATIONS.items():
        those = [place for place, seed in enumerate(seeds) if len(_of(seed, name)) == len(truth)]
        if not those:
            continue
        changed = [_of(seeds[place], name) for place in those]
        rows.append(_ablation_row(ablation.words, changed, truth, alone, those))
        plain = [place for place in those if len(_plain(seeds[place])) == len(truth)]
        if plain and not any(row.startswith("| as in the table above") for row in rows):
            rows.insert(
                0,
                _ablation_row("as in the table above", [_plain(seeds[place]) for place in plain], truth, alone, plain),
            )
    if not rows:
        return []
    return [
        "Supernets that are trained all at once, each with one change; sub-networks with their batch norms recalibrated, on the "
        "seeds for which the change was measured.",
        "",
        "| change | seeds | Spearman | 95 % interval | of the ceiling | mean accuracy |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
        *rows,
        "",
    ]


def _ablation_row(words: str, rows: Rows, truth: Sequence[float], alone: Rows, places: Sequence[int]) -> str:
    share = of_ceiling(rows, alone, places)
    text = "" if share is None else f"{share:.0%}"
    spearman = mean(each for each, _ in correlations(rows, truth))
    level = mean(mean(row) for row in rows)
    return f"| {words} | {len(rows)} | {spearman:.2f} | {correlation(rows, truth)} | {text} | {level:.2%} |"


def _of(seed: Mapping[str, Any], name: str) -> Sequence[float]:
    found: Sequence[float] = seed.get("ablations", {}).get(name, ())
    return found


def _plain(seed: Mapping[str, Any]) -> Sequence[float]:
    return [each["recalibrated"] for each in seed["supernets"].get("at-once", ())]


def _longer(seeds: Seeds) -> list[str]:
    """The ceiling of longer trainings alone."""
    key = "alone for longer"
    those = [seed for seed in seeds if len(seed.get(key, ())) == len(seed["alone"])]
    if not those:
        return []
    longer, before = ([seed[name] for seed in those] for name in (key, "alone"))
    same = mean(float(spearmanr(one, other).statistic) for one, other in zip(longer, before, strict=True))
    words = f"Trained alone for {LONGER_ALONE} times the steps ({len(those)} seeds), the networks reach {_level(longer)} instead "
    words += f"of {_level(before)}, and rank with {same:.2f} as after the shorter training."
    if len(those) > 1:
        words += f" The ceiling is then {mean(spearman for spearman, _ in ceiling(longer)):.2f}."
    return [words, ""]


def _level(rows: Rows) -> str:
    return f"{mean(map(mean, rows)):.2%}"


def _valued(networks: Sequence[Network], seeds: Seeds, rankings: Mapping[str, Rows]) -> list[str]:
    """Which choices each ranking values: Spearman's correlation of the accuracy with each choice."""
    shown = {"training alone": [seed["alone"] for seed in seeds]}
    shown |= {name: rows for name, rows in rankings.items() if name.startswith("sub-network")}
    shown |= {
        f"sub-network, all at once, recalibrated, {ablation.words}": rows
        for name, ablation in ABLATIONS.items()
        if (rows := [_of(seed, name) for seed in seeds if len(_of(seed, name)) == len(networks)])
    }
    values = [list(map(value, networks)) for value in CHOICES.values()]
    truth = [mean(each) for each in zip(*(seed["alone"] for seed in seeds), strict=True)]
    corrected = "Spearman | image sizes corrected | 95 % interval"
    lines = [f"| ranking by | {' | '.join(CHOICES)} | {corrected} |", "| --- |" + " ---: |" * (len(CHOICES) + 3)]
    for name, rows in shown.items():
        cells = [_valuation(rows, value) for value in values]
        if name == "training alone":
            cells += [""] * 3
        else:
            moved = [with_means_of(row, truth, values[0]) for row in rows]
            cells += [f"{mean(each for each, _ in correlations(these, truth)):.2f}" for these in (rows, moved)]
            cells.append(str(correlation(moved, truth)))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [
        "Which choices a ranking values: Spearman's correlation of the accuracies with the image size, the number of blocks, and "
        "the means of kernels and expansions. *Image sizes corrected*: the correlation with training alone if the networks of "
        "each image size had the mean that they have trained alone. What it gains is what wrong differences between image sizes "
        "cost, an upper bound, because the means come from the truth.",
        "",
        *lines,
        "",
    ]


def with_means_of(row: Sequence[float], truth: Sequence[float], groups: Sequence[float]) -> list[float]:
    """`row`, moved so that in each group its mean is that of `truth`."""
    found = []
    for value, group in zip(row, groups, strict=True):
        own = [place for place, each in enumerate(groups) if each == group]
        found.append(value + mean(truth[place] for place in own) - mean(row[place] for place in own))
    return found


def _valuation(rows: Rows, values: Sequence[float]) -> str:
    """The mean correlation of accuracies with a choice; a dash if all networks made the same one."""
    if len(set(values)) < 2:
        return "-"
    return f"{mean(float(spearmanr(row, values).statistic) for row in rows):.2f}"
