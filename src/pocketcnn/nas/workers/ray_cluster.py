"""Workers on a Ray cluster, on this machine or on many."""

import importlib
from types import TracebackType
from typing import Any, Self

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.nas.trial import Proposal
from pocketcnn.nas.workers.base import Evaluator, Outcome, outcome_of

LOCAL = "local"
"""The address of a cluster on this machine only, started for this search."""


class RayWorkers:
    """Up to `count` concurrent tasks on the cluster at `address`; each takes one processor, and `gpus` of a GPU.

    Every machine needs this library, and the images at the same path.
    """

    def __init__(self, evaluate: Evaluator, count: int, address: str, gpus: float = 0.0) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise MissingExtra("A search on a Ray cluster", "ray") from error
        self._count = count
        self._running: dict[Any, int] = {}
        self._started_here = not self._ray.is_initialized()
        if self._started_here:
            try:
                self._ray.init(
                    address=None if address == LOCAL else address,
                    num_cpus=count if address == LOCAL else None,
                    include_dashboard=False if address == LOCAL else None,
                    log_to_driver=False,
                    logging_level="error",
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise PocketcnnError(f"There is no Ray cluster at {address}: {error}") from error
        self._evaluate = self._ray.put(evaluate)
        # no retries: the same point might crash the next machine too
        self._task = self._ray.remote(max_retries=0, num_cpus=1, num_gpus=gpus)(outcome_of)

    @property
    def free(self) -> int:
        return self._count - len(self._running)

    def submit(self, number: int, proposal: Proposal) -> None:
        self._running[self._task.remote(self._evaluate, number, proposal)] = number

    def next(self) -> Outcome:
        (ready, *_), _ = self._ray.wait(list(self._running), num_returns=1)
        number = self._running.pop(ready)
        try:
            outcome: Outcome = self._ray.get(ready)
        except self._ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0]
            return Outcome(number, None, f"its worker was lost ({type(error).__name__}: {first})")
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running.clear()
        if self._started_here:
            self._ray.shutdown()
