"""Workers in separate processes on this machine."""

import multiprocessing
import os
import pickle
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.nas.trial import Proposal
from pocketcnn.nas.workers.base import Evaluator, Outcome, outcome_of
from pocketcnn.training.interrupt import leave_stopping_to_parent

MAX_CONSECUTIVE_LOSSES = 3
"""After so many lost workers without a finished trial between them, the search stops."""

EXIT_TIMEOUT = 5.0
"""Seconds that a worker may take to exit."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    trial: int | None = None
    """The number of its current trial."""


class Processes:
    """`count` processes, started when first needed. One that dies is replaced; its trial fails."""

    def __init__(self, evaluate: Evaluator, count: int) -> None:
        if count < 1:
            raise UsageError(f"A search needs at least one worker, not {count}.")
        try:
            self._evaluate = pickle.dumps(evaluate)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(f"The evaluator of a search cannot be pickled for other processes: {error}") from error
        self._context = multiprocessing.get_context("spawn")  # forking is not safe with torch's threads
        self._count = count
        self._workers: list[_Worker] = []
        self._lost = 0

    @property
    def processes(self) -> list[BaseProcess]:
        """The current processes."""
        return [worker.process for worker in self._workers]

    @property
    def free(self) -> int:
        return self._count - sum(worker.trial is not None for worker in self._workers)

    def submit(self, number: int, proposal: Proposal) -> None:
        worker = next((worker for worker in self._workers if worker.trial is None), None) or self._start()
        worker.trial = number
        try:
            worker.pipe.send((number, proposal))
        except OSError:
            return  # it died while idle; `next` reports it

    def next(self) -> Outcome:
        busy = [worker for worker in self._workers if worker.trial is not None]
        ready = wait([*(worker.pipe for worker in busy), *(worker.process.sentinel for worker in busy)])
        worker = next(worker for worker in busy if worker.pipe in ready or worker.process.sentinel in ready)
        number = worker.trial
        assert number is not None
        try:
            outcome: Outcome | None = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            outcome = None
        if outcome is None:
            return self._replace_lost(worker, number)
        self._lost, worker.trial = 0, None
        return outcome

    def _replace_lost(self, worker: _Worker, number: int) -> Outcome:
        worker.process.join(EXIT_TIMEOUT)
        self._workers.remove(worker)
        worker.pipe.close()
        self._lost += 1
        reason = f"its worker was lost (exit code {worker.process.exitcode})"
        if self._lost >= MAX_CONSECUTIVE_LOSSES:
            raise PocketcnnError(
                f"{MAX_CONSECUTIVE_LOSSES} workers in a row were lost, the last with exit code {worker.process.exitcode}. "
                "They may have run out of memory: use fewer --workers."
            )
        return Outcome(number, None, reason)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        threads = max(1, (os.cpu_count() or 1) // self._count)
        process = self._context.Process(target=_work, args=(theirs, self._evaluate, threads), daemon=True)
        process.start()
        theirs.close()  # so that this process notices when the worker ends
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(EXIT_TIMEOUT)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._workers.clear()


def _work(pipe: Connection, evaluate: bytes, threads: int) -> None:
    """The main loop of a worker process."""
    leave_stopping_to_parent()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(threads)
    evaluator: Evaluator = pickle.loads(evaluate)
    while True:
        try:
            number, proposal = pipe.recv()
        except EOFError:
            return
        pipe.send(outcome_of(evaluator, number, proposal))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
