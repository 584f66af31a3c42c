"""The comparison on photographs as a page, from its JSON alone."""

from collections.abc import Mapping
from statistics import mean, median
from typing import Any

from benchmarks.photograph_search.setting import CONTROL, ROOM, SETTING, STRATEGIES, TIGHT, Setting
from benchmarks.search_table.statistics import compared, interval

CERTAIN = 0.01
MATTERS = 0.05
"""How far the best network must be above the median for a comparison to decide what the default is."""
Document = Mapping[str, Any]


def page(document: Document, setting: Setting = SETTING) -> str:
    """Markdown of what has run."""
    lines = ["# Search strategies on photographs", "", "Made by `python -m benchmarks.search_photographs`.", ""]
    if not document.get("trainings"):
        return "\n".join([*lines, "Nothing was measured yet.", ""])
    lines += [*_about(document, setting), "", *_table(document, setting), ""]
    if document.get("searches"):
        lines += [*_predictor(document), "", *_searches(document, setting), "", *_finals(document, setting)]
        lines += [*_real(document, setting)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _about(document: Document, setting: Setting) -> list[str]:
    return [
        f"{setting.train:,} photographs of 32x32 pixels to train (CIFAR-10 as JPEG files), {setting.val:,} to validate, "
        f"{setting.test:,} to test. The space (`benchmarks/photograph_search/photographs.py`) has 13,824 networks. The budget, "
        f"{document['bound']:,} multiply-adds, is kept by {TIGHT:.0%} of them. An evaluation is a training of "
        f"{setting.epochs} epochs; successive halving also trains for a third and a ninth of them. The reward is the accuracy "
        "within the budget (MnasNet's hard constraint). Searches with many seeds see a predictor that is fitted to trained "
        "networks, and the noise of a training, as in Zela et al., *Surrogate NAS Benchmarks* (2022).",
    ]


def means(document: Document, setting: Setting) -> dict[str, float]:
    """Validation accuracy of the networks of the pool within the budget, the mean over the seeds that have run."""
    found: dict[str, list[float]] = {}
    for key, row in document["trainings"].items():
        name, epochs, seed = key.split(" | ")
        cost = document["networks"].get(name)
        if (
            cost is not None
            and cost <= document["bound"]
            and int(epochs) == setting.epochs
            and int(seed) in setting.seeds
        ):
            found.setdefault(name, []).append(row["val"])
    return {name: mean(values) for name, values in found.items()}


def _table(document: Document, setting: Setting) -> list[str]:
    kept = means(document, setting)
    full = [key.split(" | ") for key in document["trainings"]]
    counts = [
        len(
            {name for name, epochs, each in full if (int(epochs), int(each)) == (setting.epochs, seed)}
            & {*document["networks"]}
        )
        for seed in setting.seeds
    ]
    if not kept:
        return ["No network within the budget was trained yet."]
    best, middle = max(kept.values()), median(kept.values())
    return [
        f"Trained: {counts[0]} of {setting.pool} random networks of up to {ROOM:g} times the budget, {counts[1]} of them with a "
        f"second seed. Of the {len(kept)} that keep the budget, the best has {best:.1%} validation accuracy, "
        f"the median {middle:.1%}: {100 * (best - middle):.1f} points less.",
    ]


def _predictor(document: Document) -> list[str]:
    lines = [
        "| epochs | networks | rank correlation, cross-validated | deviation between seeds |",
        "| --- | ---: | ---: | ---: |",
    ]
    for epochs, row in document["predictor"].items():
        lines.append(
            f"| {epochs} | {document['fitted'][epochs]} | {row['quality']:.2f} | {100 * row['noise']:.1f} points |"
        )
    space = document["space"]
    return [
        *lines,
        "",
        f"For the {space['networks']:,} networks of the space that keep the budget, the predictor says {space['best']:.1%} for "
        f"the best and {space['median']:.1%} for the median. It is a ridge regression on the choices, selected among four "
        "regressions by the same cross-validation.",
    ]


def spread(document: Document, setting: Setting) -> float:
    """How much more accurate the best trained network within the budget is than the median one; 0 without any."""
    kept = means(document, setting).values()
    return round(max(kept) - median(kept), 4) if kept else 0.0


def default_strategy(document: Document, setting: Setting = SETTING) -> str | None:
    """The strategy that the comparison makes the default; None if the networks differ too little to decide, or none is better
    than random search."""
    if spread(document, setting) < MATTERS:
        return None
    found = winner(document, setting.judged)
    return None if found == CONTROL else found


def compared_budgets(document: Document, setting: Setting) -> list[int]:
    """The numbers of evaluations with which all strategies have searched."""
    return [count for count in setting.budgets if len(within(document, count)) == len(STRATEGIES)]


def _searches(document: Document, setting: Setting) -> list[str]:
    budgets = compared_budgets(document, setting)
    if not budgets:
        return ["## Searches on the predictor", "", "Not all strategies have searched yet."]
    heads = " | ".join(f"{count} evaluations | better on | p" for count in budgets)
    lines = [
        "## Searches on the predictor",
        "",
        f"Accuracy, without noise, of the network that a search chose: means over {setting.searches} seeds with 95 % intervals. "
        "*Better on*: seeds at which it is better than random search, of all; p by Wilcoxon's signed-rank test. "
        f"{setting.judged} evaluations are the default of `pocketcnn search`. **Bold** is the best of a column.",
        "",
        f"| strategy | {heads} |",
        "| --- |" + " ---: |" * (3 * len(budgets)),
    ]
    for strategy in STRATEGIES:
        cells: list[str] = []
        for count in budgets:
            ranked = within(document, count)
            cells += _cells(document, strategy, count, max((each[0] for each in ranked.values()), default=0.0))
        lines.append(f"| {strategy} | {' | '.join(cells)} |")
    return [*lines, "", *(_verdict(document, count) for count in budgets), "", _decision(document, setting)]


def _cells(document: Document, strategy: str, count: int, top: float) -> list[str]:
    ours, control = paired(document, strategy, count)
    if not ours:
        return ["-", "", ""]
    found = interval(ours)
    text = f"{found.mean:.1%} ({found.low:.1%} to {found.high:.1%})"
    text = f"**{text}**" if found.mean >= top else text
    if strategy == CONTROL:
        return [text, "", ""]
    test = compared(ours, control)
    return [text, f"{test.wins} of {test.seeds}", f"{test.paired:.1e}"]


def paired(document: Document, strategy: str, count: int) -> tuple[list[float], list[float]]:
    """Results of a strategy and of random search, at the seeds at which both found a network within the budget."""
    found = document.get("searches", {})
    values = [found.get(name, {}).get(str(count), {}).get("accuracy", []) for name in (strategy, CONTROL)]
    both = [(one, other) for one, other in zip(*values, strict=False) if one is not None and other is not None]
    return [one for one, _ in both], [other for _, other in both]


def within(document: Document, count: int) -> dict[str, tuple[float, float]]:
    """By strategy, the mean result with so many evaluations, and p of its being better than random search (1 for itself)."""
    found = {}
    for strategy in STRATEGIES:
        ours, control = paired(document, strategy, count)
        if ours:
            found[strategy] = (mean(ours), 1.0 if strategy == CONTROL else compared(ours, control).paired)
    return found


def winner(document: Document, count: int) -> str:
    """The strategy with the best mean of those that beat random search; random search if none does."""
    better = {name: figures for name, figures in within(document, count).items() if figures[1] < CERTAIN}
    return max(better, key=lambda name: better[name][0], default=CONTROL)


def _verdict(document: Document, count: int) -> str:
    better = [name for name, (_, p) in within(document, count).items() if p < CERTAIN]
    return (
        f"- {count} evaluations: better than random search at p < {CERTAIN:g}: {', '.join(better) or 'none'}. "
        f"The best of them: {winner(document, count) if better else 'none'}."
    )


def _decision(document: Document, setting: Setting) -> str:
    """What follows for the default strategy."""
    if spread(document, setting) < MATTERS:
        return (
            f"The best trained network is less than {100 * MATTERS:.0f} points above the median, not much more than trainings of "
            "one network differ, and the predictor knows the order of networks only roughly. So this comparison does not decide "
            "the default strategy."
        )
    found = default_strategy(document, setting)
    return (
        f"The default strategy of `pocketcnn search` follows from it: {found}."
        if found
        else "No default follows from it."
    )


def _finals(document: Document, setting: Setting) -> list[str]:
    """The median finds, trained with new seeds."""
    rows = []
    for strategy, name in document.get("judged", {}).items():
        tests = [
            document["trainings"][key]["test"]
            for seed in setting.finals
            if (key := f"{name} | {setting.epochs} | {seed}") in document["trainings"]
        ]
        if tests:
            rows.append(
                f"| {strategy} | {len(tests)} | {mean(tests):.1%} | {', '.join(f'{each:.1%}' for each in tests)} |"
            )
    if not rows:
        return []
    return [
        "## The networks that they chose, trained again",
        "",
        f"For each strategy the network of the search with the median result at {setting.judged} evaluations, trained with seeds "
        "that no table has seen.",
        "",
        "| strategy | seeds | test accuracy | each |",
        "| --- | ---: | ---: | --- |",
        *rows,
        "",
    ]


def _real(document: Document, setting: Setting) -> list[str]:
    """Searches with real trainings."""
    found: dict[str, list[str]] = {}
    for key, name in document.get("real", {}).items():
        training = document["trainings"].get(f"{name} | {setting.epochs} | {setting.finals[0]}")
        if training is not None:
            found.setdefault(key.split()[0], []).append(f"{training['test']:.1%}")
    if not found:
        return []
    return [
        "## Searches with real trainings",
        "",
        f"{setting.real_evaluations} evaluations, each a training. Test accuracy of the network that each search chose, trained "
        "again with another seed.",
        "",
        "| strategy | searches | test accuracy of each |",
        "| --- | ---: | --- |",
        *(f"| {strategy} | {len(tests)} | {', '.join(tests)} |" for strategy, tests in found.items()),
        "",
    ]
