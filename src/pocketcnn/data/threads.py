"""Parallel processing of files with threads, since image decoders release the global interpreter lock."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with (number of files done, total number of files)."""

MOST_WORKERS = 8  # with more, disk and memory are the bottleneck


def default_workers() -> int:
    """The number of processors available to this process, at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only; a container may have fewer than cpu_count()
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(available, MOST_WORKERS)


def thread_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Map `function` over `items`, in order. On an error or Ctrl-C, work that has not started is cancelled."""
    pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="images")
    try:
        for done, result in enumerate(pool.map(function, items), start=1):
            if progress is not None:
                progress(done, len(items))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
