"""Work on many files at once: image decoders let go of the interpreter lock, so threads are enough."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""

MOST_WORKERS = 8  # beyond this, disks and memory limit the reading of images


def default_workers() -> int:
    """The processors that this process may use, at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only; a container may own fewer than cpu_count()
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(available, MOST_WORKERS)


def thread_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """`function` of each item, in order. Leaving early (an error, Ctrl-C) drops the work that has not begun."""
    pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="images")
    try:
        for done, result in enumerate(pool.map(function, items), start=1):
            if progress is not None:
                progress(done, len(items))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
