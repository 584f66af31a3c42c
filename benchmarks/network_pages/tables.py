"""The generated tables of the pages, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.network_pages.families import FAMILIES, Family, family_of
from benchmarks.network_pages.nominal import nominal_rows
from pocketcnn.models.published import Checked, Published, difference

Timings = Mapping[str, Any]
"""The content of latency.json."""

UNCHECKED = "†"
IMAGENET = "ImageNet"


def counted(family: Family, checked: Iterable[Checked]) -> str:
    """Every published row of the family: what is counted, what is printed, how far off, and the reasons."""
    mine = [each for each in checked if each.row.network in (*family.networks, *family.kin)]
    reasons = list(dict.fromkeys(_reason(each.row) for each in mine if each.row.reason))
    headings = ("as published", "input", ">parameters", ">printed", ">MAdds", ">printed", ">top-1")
    lines = [table(headings, [_counted_cells(each, reasons) for each in mine])]
    lines += [f"[{number}] {reason}.  " for number, reason in enumerate(reasons, 1)]
    if any(each.row.confidence != "high" for each in mine):
        lines.append(f"{UNCHECKED} not checked against the text of its source.  ")
    return "\n".join([*lines[:1], *([""] if lines[1:] else []), *lines[1:]])


def _counted_cells(checked: Checked, reasons: Sequence[str]) -> tuple[str, ...]:
    row, count = checked.row, checked.count
    if count is None:
        raise ValueError(f"{row.paper} {row.variant} is on the page of a family and names no network")
    note = f" [{reasons.index(_reason(row)) + 1}]" if row.reason else ""
    accuracy = "" if row.top1 is None else f"{row.top1:.1f} %{UNCHECKED if row.confidence != 'high' else ''}"
    return (
        f"{row.paper} {row.variant}{note}",
        row.input,
        f"{count.params:,}",
        printed(count.params, row.printed_params),
        f"{count.madds:,}",
        printed(count.madds, row.printed_madds),
        accuracy,
    )


def printed(count: int, text: str) -> str:
    """The figure as printed, and by how much the count differs."""
    off = difference(count, text)
    return "" if off is None else f"{text} M ({off:+.1%})".replace("%", " %")


def _reason(row: Published) -> str:
    return f"{row.doubt}: {row.reason}"


def latency(family: Family, timings: Timings) -> str:
    """What each network of the family took on the machine of `timings`."""
    headings = ("network", "input", ">float32", ">10 to 90 %", ">int8", ">10 to 90 %", ">int8 / float32", ">files")
    rows = [_latency_cells(name, timings["networks"][name]) for name in family.networks if name in timings["networks"]]
    return f"{table(headings, rows)}\n\n{circumstances(timings)}"


def _latency_cells(name: str, record: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = record["ratio_interval"]
    sizes = record["bytes"]
    return (
        f"`{name}`",
        " x ".join(map(str, record["input"])),
        *_times(record["float32"]),
        *_times(record["int8"]),
        f"{record['ratio']:.2f} ({low:.2f} to {high:.2f})",
        f"{megabytes(sizes['float32'])}, {megabytes(sizes['int8'])}",
    )


def _times(figures: Mapping[str, Any]) -> tuple[str, str]:
    sure = "" if figures["converged"] else " ~"
    return f"{milliseconds(figures['median'])}{sure}", f"{bare(figures['p10'])} to {milliseconds(figures['p90'])}"


def circumstances(timings: Timings) -> str:
    """One sentence on how the times were taken."""
    machine, session = timings["machine"], timings["session"]
    flags = ", ".join(flag for flag in machine["flags"]) or "unknown"
    vague = any(
        not record[form]["converged"] for record in timings["networks"].values() for form in ("float32", "int8")
    )
    return (
        f"{session['runtime']} {session['version']}, {session['threads']} thread, on {machine['cpu']} ({machine['cores']} "
        f"cores; {flags}). {timings['note']}"
        + (" `~`: the median was not yet certain to 3 % when the time for it was up." if vague else "")
    )


def comparison(checked: Iterable[Checked], timings: Timings) -> str:
    """All networks in the form in which they were published, cheapest first; those for CIFAR after those for ImageNet."""
    counts = {_key(each.row): each.count for each in checked}
    rows = sorted(nominal_rows().values(), key=lambda row: (row.dataset != IMAGENET, row.madds or 0))
    headings = ("network", "family", "input", ">parameters", ">MAdds", ">top-1", ">float32", ">int8", ">int8 file")
    return table(headings, [_comparison_cells(row, counts[_key(row)], timings["networks"]) for row in rows])


def _key(row: Published) -> tuple[str, str, str]:
    return (row.paper, row.variant, row.input)


def _comparison_cells(row: Published, count: Any, records: Mapping[str, Any]) -> tuple[str, ...]:
    family, record = family_of(row.network), records.get(row.network)
    measured = [milliseconds(record[form]["median"]) for form in ("float32", "int8")] if record else ["", ""]
    return (
        f"`{row.network}`",
        f"[{family.title}]({family.page}.md)",
        f"{row.side}, {row.dataset}" if row.dataset != IMAGENET else str(row.side),
        f"{count.params / 1e6:.2f} M",
        f"{count.madds / 1e6:,.0f} M",
        f"{row.top1:.1f} %{UNCHECKED if row.confidence != 'high' else ''}",
        *measured,
        megabytes(record["bytes"]["int8"]) if record else "",
    )


def contents() -> str:
    """The list of the pages."""
    return "\n".join(
        f"- [{family.title}]({family.page}.md): {', '.join(f'`{name}`' for name in family.networks)}"
        for family in FAMILIES
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; headings that begin with ``>`` are numbers, aligned to the right."""
    names = [heading.removeprefix(">") for heading in headings]
    rules = ["---:" if heading.startswith(">") else "---" for heading in headings]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, rules, *rows))


def milliseconds(seconds: float) -> str:
    """``0.31 ms``, three digits."""
    return f"{bare(seconds)} ms"


def bare(seconds: float) -> str:
    """The same without its unit."""
    value = 1e3 * seconds
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{decimals}f}"


def megabytes(count: int) -> str:
    """``4.2 MB`` (10⁶ bytes)."""
    value = count / 1e6
    return f"{value:.{0 if value >= 100 else 1 if value >= 1 else 2}f} MB"
