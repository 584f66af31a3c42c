"""Benchmark of networks on runtimes in one run: cold start, memory, agreement, latency, throughput, size.

If a runtime cannot run a network, its row has the `reason`. A file is first run in a separate process, so that a crash of
the runtime does not end the benchmark.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketcnn.errors import PocketcnnError
from pocketcnn.runtimes.base import Session, artefact_files
from pocketcnn.runtimes.cold_start import ColdStart, Launch, cold_start, launch
from pocketcnn.runtimes.registry import get_runtime
from pocketcnn.runtimes.timing import DEFAULT_RULE, Comparison, Latency, StopRule, compare

if TYPE_CHECKING:
    from torch import Tensor

    from pocketcnn.graph.network import GraphNetwork
    from pocketcnn.runtimes.parity import Parity, ReferenceLogits

Say = Callable[[str], None]

BATCHES = 5
"""Minimum number of throughput samples; a sample is one batch."""


@dataclass(frozen=True)
class Reference:
    """The reference of a file: its network in PyTorch on `images` (N, C, H, W), and the network before quantization."""

    network: "GraphNetwork"
    images: "Tensor"
    float_network: "GraphNetwork | None" = None

    @cached_property
    def logits(self) -> "ReferenceLogits":
        """PyTorch's logits, computed once for all runtimes."""
        from pocketcnn.runtimes.parity import reference_logits  # imports torch

        return reference_logits(self.network, self.images, self.float_network)


@dataclass(frozen=True)
class BenchmarkCase:
    """One file on one runtime, or the reason why there is no file. `shape` is the image's (C, H, W), if known."""

    file: str
    numerics: str
    runtime: str
    artefact: Path | None
    shape: tuple[int, int, int] | None = None
    reference: Reference | None = None
    reason: str = ""


@dataclass(frozen=True)
class BenchmarkRow:
    """The measurements of one file on one runtime with one number of threads.

    `bytes` is the size of all files of the artefact. `latency` is for one image; `ratio` is its median divided by that of
    the first row that could be timed, with a 95 % interval. `images_per_second` is for `batch` images per call. The cold
    start is measured with the first number of threads only and repeated in the other rows, as is `parity`.
    """

    file: str
    numerics: str
    runtime: str
    threads: int
    bytes: int | None = None
    latency: Latency | None = None
    ratio: float | None = None
    ratio_interval: tuple[float, float] | None = None
    batch: int = 1
    images_per_second: float | None = None
    cold_start: ColdStart | None = None
    parity: "Parity | None" = None
    reason: str = ""


@dataclass(frozen=True)
class BenchmarkPlan:
    """Settings of a benchmark.

    `launches` is the number of processes per file (at least one); `batch` the images per call for the throughput. The first
    layer that differs is located on the runtimes `locate` (None: on all). Where a runtime exposes no intermediate values,
    each step of the search exports a part of the network, which takes 30 s with ExecuTorch.
    """

    threads: tuple[int, ...] = (1,)
    batch: int = 1
    launches: int = 5
    locate: tuple[str, ...] | None = None
    rule: StopRule = field(default=DEFAULT_RULE)

    @property
    def throughput_rule(self) -> StopRule:
        """The stop rule for whole batches: fewer and longer samples, in a third of the time."""
        return replace(self.rule, max_seconds=self.rule.max_seconds / 3, min_seconds=0.0, min_repeats=BATCHES)


def side_by_side(
    cases: Sequence[BenchmarkCase], plan: BenchmarkPlan, say: Say = lambda _: None
) -> tuple[BenchmarkRow, ...]:
    """A row for every case and number of threads, grouped by number of threads; `say` receives progress messages."""
    launches = _launched(cases, plan, say)
    say("Comparing the outputs with PyTorch's")
    checked = [_checked(case, found, plan) for case, found in zip(cases, launches, strict=True)]
    with ExitStack() as stack:
        lines = [_opened(each, threads, plan, stack) for threads in plan.threads for each in checked]
        ready = [line for line in lines if line.session is not None]
        if ready:
            say(f"Timing {len(ready)} sessions, interleaved")
            timed = _compared(ready, 1, plan.rule)
            batched = _compared(ready, plan.batch, plan.throughput_rule) if plan.batch > 1 else timed
            return tuple(_filled(lines, timed, batched, plan.batch))
    return tuple(line.line for line in lines)


def _launched(cases: Sequence[BenchmarkCase], plan: BenchmarkPlan, say: Say) -> list[list[Launch] | str]:
    """The launches of each case, interleaved, or the reason of a failure."""
    found: list[list[Launch] | str] = [[] if case.artefact else case.reason for case in cases]
    for turn in range(max(1, plan.launches)):
        say(f"Measuring cold starts, round {turn + 1} of {max(1, plan.launches)}")
        for index, case in enumerate(cases):
            so_far = found[index]
            if not isinstance(so_far, str) and case.artefact is not None:
                shape = (1, *case.shape) if case.shape else None
                try:
                    so_far.append(launch(case.runtime, case.artefact, threads=plan.threads[0], shape=shape))
                except PocketcnnError as error:
                    found[index] = str(error)
    return found


@dataclass(frozen=True)
class _Checked:
    """A case after its launches; with a `reason` if it cannot run."""

    case: BenchmarkCase
    shape: tuple[int, ...] = ()
    bytes: int | None = None
    cold_start: ColdStart | None = None
    parity: "Parity | None" = None
    reason: str = ""


def _checked(case: BenchmarkCase, launches: list[Launch] | str, plan: BenchmarkPlan) -> _Checked:
    if case.artefact is None:
        return _Checked(case, reason=case.reason)
    files = artefact_files(get_runtime(case.runtime), case.artefact)
    size = sum(file.stat().st_size for file in files if file.is_file())
    if isinstance(launches, str):
        return _Checked(case, bytes=size, reason=launches)
    start, shape = cold_start(launches), launches[0].shape[1:]
    try:
        found = _parity(case.reference, case.artefact, case.runtime, plan) if case.reference else None
    except PocketcnnError as error:
        return _Checked(case, shape, size, start, reason=str(error))
    return _Checked(case, shape, size, start, found)


def _parity(reference: Reference, artefact: Path, runtime: str, plan: BenchmarkPlan) -> "Parity":
    from pocketcnn.runtimes.parity import parity  # imports torch

    search = None if plan.locate is None or runtime in plan.locate else False
    return parity(
        reference.network, artefact, reference.images, runtime=runtime, reference=reference.logits, search=search
    )


@dataclass(frozen=True)
class _Opened:
    """A row that is not timed yet, and its session if it has one."""

    line: BenchmarkRow
    session: Session | None
    shape: tuple[int, ...] = ()


def _opened(checked: _Checked, threads: int, plan: BenchmarkPlan, stack: ExitStack) -> _Opened:
    case = checked.case
    line = BenchmarkRow(
        file=case.file,
        numerics=case.numerics,
        runtime=case.runtime,
        threads=threads,
        bytes=checked.bytes,
        cold_start=checked.cold_start,
        parity=checked.parity,
        batch=plan.batch,
        reason=checked.reason,
    )
    if checked.reason:
        return _Opened(line, None)
    try:
        session = stack.enter_context(closing(get_runtime(case.runtime).build(case.artefact, threads=threads)))
        session.run(_example(checked.shape, plan.batch))
    except PocketcnnError as error:
        return _Opened(replace(line, reason=str(error)), None)
    return _Opened(line, session, checked.shape)


def _example(shape: tuple[int, ...], batch: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, *shape), dtype=np.float32)


def _compared(ready: Sequence[_Opened], batch: int, rule: StopRule) -> Comparison:
    sessions = [each.session for each in ready if each.session is not None]
    return compare(sessions, [_example(each.shape, batch) for each in ready], rule=rule)


def _filled(lines: Sequence[_Opened], timed: Comparison, batched: Comparison, batch: int) -> Iterator[BenchmarkRow]:
    """The rows; those with a session are completed with their timings."""
    results = zip(timed.latencies, timed.ratios, timed.intervals, batched.latencies, strict=True)
    for each in lines:
        if each.session is None:
            yield each.line
            continue
        latency, ratio, interval, whole = next(results)
        yield replace(
            each.line,
            latency=latency,
            ratio=ratio,
            ratio_interval=interval,
            images_per_second=batch / whole.median,
        )
