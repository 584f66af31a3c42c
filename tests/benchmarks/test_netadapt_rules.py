"""The page on NetAdapt's rules: made of its lines alone, and a verdict needs an interval."""

from typing import Any

from benchmarks.compression import netadapt_rules
from benchmarks.compression.automatic import read
from benchmarks.compression.netadapt_rules import NAME, OUT, PAPER, RATIO, RULES, SMALL_STEPS, page


def document(seed: int, **accuracies: float) -> dict[str, Any]:
    methods = {"unpruned": {"top1": 0.99}}
    for name, accuracy in zip(RULES, accuracies.values(), strict=True):
        methods[name] = {"top1": accuracy, "steps": 10, "proposals": 30, "seconds": 5.0}
    cell = {"dataset": "digits", "network": "resnet18", "resource": "madds", "share": 0.5, "seed": seed}
    return {**cell, "methods": methods}


def test_the_page_is_that_of_the_lines_that_are_checked_in() -> None:
    assert page(read(OUT / f"{NAME}.jsonl")) == (OUT / f"{NAME}.md").read_text(encoding="utf-8")


def test_a_verdict_needs_an_interval_without_zero() -> None:
    text = page([document(seed, paper=0.9, small=0.9 + 0.001 * seed, ratio=0.95 + 0.001 * seed) for seed in range(3)])
    assert f"| {RATIO} | {PAPER} | 3 | +5.10 (" in text
    assert text.count("| better |") == 2
    assert f"| {SMALL_STEPS} | {PAPER} | 3 | +0.10 (-0.15 to +0.35) | no difference shown |" in text
    assert "| resnet18 | digits | 50% | 3 | 99.0% | 90.0% | 90.1% | 95.1% |" in text


def test_the_rules_differ_in_choice_and_steps() -> None:
    settings = {name: getattr(method, "keywords", {}) for name, method in netadapt_rules.RULES.items()}
    assert settings == {
        PAPER: {},
        SMALL_STEPS: {"step": 0.01, "decay": 1.0},
        RATIO: {"choose": "ratio", "step": 0.01, "decay": 1.0},
    }
