"""`pocketcnn models --check`: compares counted cost with published figures."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

from pocketcnn.cli.output import Output
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.models.published import Checked, Verdict, check, difference, read_published

SAY_EVERY = 40
"""Number of rows between two progress messages."""

NOTHING = "-"
"""A cell without a figure."""


def check_published(out: Output, pattern: str | None) -> None:
    """Count the cost of every network with published figures (or those that match `pattern`), and print both.

    Raises:
        UsageError: no published network matches.
        PocketcnnError: a count differs from its published figure without a stated reason.
    """
    rows = [row for row in read_published() if pattern is None or fnmatch(row.network, pattern)]
    if not rows:
        raise UsageError(f"No network with published figures matches '{pattern}'.")
    checked = list(_with_progress(out, check(rows), len(rows)))
    missed = [each for each in checked if each.misses]
    out.json({"rows": [each.as_dict() for each in checked], "missed": len(missed)})
    _print(out, checked)
    if missed:
        raise PocketcnnError("\n".join([_verdict(checked), *map(_miss_message, missed)]))


def _with_progress(out: Output, checked: Iterator[Checked], total: int) -> Iterator[Checked]:
    for number, each in enumerate(checked):
        if number and number % SAY_EVERY == 0:
            out.say(f"{number} of {total} rows counted")
        yield each


def _print(out: Output, checked: Sequence[Checked]) -> None:
    reasons = list(dict.fromkeys(_reason(each) for each in checked if each.row.reason))
    counted = [each for each in checked if each.count is not None]
    out.table(
        ("network", "as published", "input", *_heading("parameters"), *_heading("MAdds"), "verdict"),
        [_cells(each, reasons) for each in counted],
    )
    if len(counted) < len(checked):
        rest = [each for each in checked if each.count is None]
        title = "Also published, not counted:"
        out.table(("as published", "reason"), [(_name(each), _note(each, reasons)) for each in rest], title=title)
    if reasons:
        out.table((">", ""), [(f"[{number}]", text) for number, text in enumerate(reasons, 1)], title="Reasons:")
    out.print(f"\n{_verdict(checked)}")


def _heading(quantity: str) -> tuple[str, ...]:
    return (f">{quantity}", ">recounted", ">printed", ">off by")


def _cells(checked: Checked, reasons: Sequence[str]) -> tuple[str, ...]:
    row, count = checked.row, checked.count
    assert count is not None  # the caller has filtered the others
    verdict = f"{checked.verdict} {_note(checked, reasons)}".rstrip()
    return (
        row.network,
        _name(checked),
        row.input,
        *_columns(count.params, row.params, row.printed_params),
        *_columns(count.madds, row.madds, row.printed_madds),
        verdict,
    )


def _columns(counted: int, recounted: int | None, printed: str) -> tuple[str, ...]:
    """Our count, the recount of the published layers (`=` if equal), the printed figure, and the relative difference."""
    exact = NOTHING if recounted is None else "=" if recounted == counted else f"{recounted:,}"
    off = difference(counted, printed)
    return (f"{counted:,}", exact, f"{printed} M" if printed else NOTHING, NOTHING if off is None else f"{off:+.1%}")


def _name(checked: Checked) -> str:
    return f"{checked.row.paper} {checked.row.variant}"


def _reason(checked: Checked) -> str:
    return f"{checked.row.doubt}: {checked.row.reason}"


def _note(checked: Checked, reasons: Sequence[str]) -> str:
    return f"[{reasons.index(_reason(checked)) + 1}]" if checked.row.reason else ""


def _verdict(checked: Sequence[Checked]) -> str:
    numbers = {verdict: sum(each.verdict is verdict for each in checked) for verdict in Verdict}
    counted = len(checked) - numbers[Verdict.NOT_COUNTED]
    return (
        f"{counted} published rows counted: {numbers[Verdict.AGREES]} agree, {numbers[Verdict.EXPLAINED]} differ for a"
        f" stated reason, {numbers[Verdict.MISSED]} are missed. {numbers[Verdict.NOT_COUNTED]} are not networks of the zoo."
    )


def _miss_message(checked: Checked) -> str:
    return f"  {checked.row.network} ({_name(checked)}, {checked.row.input}): {'; '.join(checked.misses)}."
