"""The output at the end of `fit`, `compress` and `search`: limits with measured figures, files, and exit code."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pocketcnn.cli.output import Output, percent
from pocketcnn.errors import BudgetNotMet, Interrupted

if TYPE_CHECKING:
    from pocketcnn.records.result import Accuracy, FitResult, LimitRecord


def conclude(output: Output, result: "FitResult", out: Path, *, must_be_accurate: bool = False) -> None:
    """Print the result of a command that wrote its files to `out`.

    Raises:
        BudgetNotMet: the budget is not kept. The result is printed before.
        AccuracyNotMet: `must_be_accurate`, and the accuracy is near that of the most frequent class.
    """
    from pocketcnn.pipeline.accuracy_check import baseline, require_accuracy
    from pocketcnn.report.findings import verdict

    output.json(result)
    headings = ("limit", ">measured", ">of the limit", ">spread", "kept")
    output.table(headings, [_limit_row(limit) for limit in result.limits])
    artefact, parity = result.artefact, result.parity
    output.print()
    output.print(verdict(result))
    for warning in result.warnings:
        output.warn(warning)
    output.print(f"test accuracy        {_accuracy(artefact.accuracy)}, of the {artefact.numerics} file itself")
    if artefact.baselines is not None:
        output.print(f"to compare           {artefact.baselines.words(result.data.classes)}")
    output.print(f"agrees with PyTorch  on {percent(parity.agreement)} of {parity.images} images")
    if result.check is not None and not result.check.problem:  # a problem is among the warnings
        output.print(f"file check           {result.check.words()}")
    output.print(f"file to deploy       {out / artefact.file}")
    if result.stored is not None and result.stored.coding is not None:
        output.print(f"coded model file     {out / result.stored.file}, {result.stored.bytes:,} bytes")
    output.print(f"report               {out / 'report.html'}")
    for place, choice in enumerate(result.next_choices):
        output.print(f"{'' if place else 'next better choice':<20} {choice.text}")
    for note in result.notes:
        output.say(note)
    if not result.met:
        raise BudgetNotMet(
            f"The budget cannot be met. The closest network misses it: {result.closest_miss}. Its files are in {out}. "
            "Loosen the missed limit, or train more with --effort."
        )
    if must_be_accurate:
        require_accuracy(artefact.accuracy, baseline(artefact.confusion))


@contextlib.contextmanager
def resumed_by_the_same_command(out: Path) -> Iterator[None]:
    """Turn Ctrl-C inside the block into a message that the same command resumes."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as error:
        raise Interrupted(
            f"Stopped. The trainings so far are kept in {out}: the same command resumes from there."
        ) from error


def command_line(verb: str, arguments: tuple[str, ...], options: Mapping[str, object]) -> str:
    """The command line to repeat a run. Options that are None or False are left out; lists repeat their option."""
    words = ["pocketcnn", verb, *arguments]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each is not False:
                words += [f"--{name}", str(each)]
    return shlex.join(words)


def _limit_row(limit: "LimitRecord") -> tuple[str, ...]:
    from pocketcnn.targets import Quantity, format_quantity

    quantity = Quantity(limit.quantity)
    low, value, high = (format_quantity(quantity, number) for number in (limit.low, limit.value, limit.high))
    spread = "" if limit.low == limit.high else f"{low} to {high}"
    share = f"{limit.value / limit.bound:.0%}".replace("%", " %")
    return limit.limit, value, share, "an estimate" if limit.estimated else spread, "yes" if limit.kept else "NO"


def _accuracy(accuracy: "Accuracy") -> str:
    interval = f"95 % interval {percent(accuracy.low)} to {percent(accuracy.high)}"
    return f"{percent(accuracy.top1)} ({interval}, {accuracy.images} images)"
