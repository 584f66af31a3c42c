"""Findings for the report, as sentences and bars: margins of the budget, changes by compression, and speed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pocketcnn.records.result import DEPLOYED, Accuracy, FitResult, LatencyRecord, LimitRecord, StageRecord
from pocketcnn.report import numbers

SAME_SPEED = 0.03  # medians are known to about 3 %, so smaller differences are not reported
BOUND_AT = 0.8  # position of the bound on the bar; values beyond it exceed the limit


@dataclass(frozen=True)
class MarginBar:
    """A bar of length 1: filled up to `value`, the bound at `bound`, the range from `low` to `high`."""

    value: float
    low: float
    high: float
    bound: float = BOUND_AT
    cut: bool = False
    """Whether the value lies beyond the end of the bar."""


def verdict(result: FitResult) -> str:
    """The verdict with its mark and what qualifies it: ``⚠ Budget met, but accuracy was lost``."""
    baselines = result.artefact.baselines
    is_useless = baselines is not None and not baselines.better
    is_wrong = result.check is not None and bool(result.check.problem)
    reasons = ["the file does not compute what the network computes"] if is_wrong else []
    if len(result.warnings) > is_useless + is_wrong:  # one of the warnings is on chance, and one on a wrong file
        reasons.append("accuracy was lost")
    if is_useless:
        reasons.append("the file is not clearly better than always answering the most frequent class")
    text, link = ("Budget met", ", but ") if result.met else ("Budget not met", ", and ")
    return f"{result.verdict.mark} {text}{link if reasons else ''}{', and '.join(reasons)}"


def margin_bar(limit: LimitRecord) -> MarginBar:
    """The bar of one limit; all bars have their bound at the same place."""

    def place(value: float) -> float:
        return round(min(1.0, BOUND_AT * value / limit.bound), 4)

    cut = BOUND_AT * limit.value > limit.bound
    return MarginBar(place(limit.value), place(limit.low), place(limit.high), cut=cut)


def margin(limit: LimitRecord) -> str:
    """``31 % to spare``, or ``12.5 % over``."""
    used = limit.value / limit.bound
    if used == 1:
        return "exactly at the bound"
    return f"{numbers.percent(1 - used)} to spare" if used < 1 else f"{numbers.percent(used - 1)} over"


def spread_warning(limit: LimitRecord) -> str:
    """A sentence if only the median of a limit is kept, and not the 90th percentile; otherwise empty."""
    if not limit.kept or limit.high <= limit.bound:
        return ""
    return f"The median is within the bound; the 90th percentile, {numbers.figure(limit.quantity, limit.high)}, is above it."


def what_changed(stages: Sequence[StageRecord]) -> list[str]:
    """Sentences on the changes from the first stage to the last; an empty list for fewer than two stages."""
    if len(stages) < 2:
        return []
    first, last = stages[0], stages[-1]
    return [
        f"From “{first.name}” to “{last.name}”:",
        _change("Weights", first.weight_bytes, last.weight_bytes, numbers.size, "smaller"),
        _change("Multiply-adds", first.madds, last.madds, numbers.amount, "fewer"),
        _accuracy_change(first.test, last.test),
    ]


def _change(quantity: str, before: float, after: float, write: Callable[[float], str], less: str) -> str:
    if before == after:
        return f"{quantity}: {write(after)}, unchanged."
    factor = f", {before / after:.1f} times {less}" if 0 < 1.05 * after < before else ""
    return f"{quantity}: {write(before)} → {write(after)}{factor}."


def _accuracy_change(before: Accuracy, after: Accuracy) -> str:
    if before.top1 == after.top1:
        return f"Test accuracy: {numbers.accuracy(after.top1)}, unchanged."
    change = (
        f"Test accuracy: {numbers.accuracy(before.top1)} → {numbers.accuracy(after.top1)}, "
        f"{numbers.points(after.top1 - before.top1)}."
    )
    if before.low > after.high or after.low > before.high:
        return change
    return (
        f"{change} The 95 % intervals overlap on {numbers.grouped(after.images)} images: the difference may be chance."
    )


def speed(latencies: Sequence[LatencyRecord], numerics: str) -> list[tuple[bool, str]]:
    """(whether the deployed file is slower, sentence) for each other network on the same target and threads."""
    return [(_is_slower(file, other), _speed(file, other, numerics)) for file, other in _comparisons(latencies)]


def _comparisons(latencies: Sequence[LatencyRecord]) -> Iterator[tuple[LatencyRecord, LatencyRecord]]:
    for file in (latency for latency in latencies if latency.artefact == DEPLOYED):
        for other in latencies:
            if other is not file and (other.target, other.threads) == (file.target, file.threads):
                yield file, other


def _is_slower(file: LatencyRecord, other: LatencyRecord) -> bool:
    return file.median > (1 + SAME_SPEED) * other.median


def _speed(file: LatencyRecord, other: LatencyRecord, numerics: str) -> str:
    ratio = file.median / other.median
    threads = "1 thread" if file.threads == 1 else f"{file.threads} threads"
    times = (
        f"On {file.target} with {threads}, the deployed file ({numerics}) takes {numbers.time(file.median)}, "
        f"compared with {numbers.time(other.median)} for “{other.artefact}”"
    )
    if _is_slower(file, other):
        return f"{times}: it is {numbers.percent(ratio - 1)} slower here. It is smaller, not faster."
    if ratio >= 1 - SAME_SPEED:
        return f"{times}: no measurable difference."
    return f"{times}: it is {1 / ratio:.1f} times as fast."
