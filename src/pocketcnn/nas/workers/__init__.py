"""Workers that evaluate points: in this process, in several processes, or on a Ray cluster."""

from pocketcnn.nas.workers.base import Evaluator, Inline, Outcome, Workers
from pocketcnn.nas.workers.processes import Processes

__all__ = ["Evaluator", "Inline", "Outcome", "Processes", "Workers", "workers_for"]


def workers_for(evaluate: Evaluator, count: int = 1, ray: str | None = None) -> Workers:
    """One worker runs in this process; more run in their own processes, or as tasks on the Ray cluster at the address `ray`.

    Raises:
        UsageError: `count` is below 1, or `evaluate` cannot be pickled.
        MissingExtra: Ray is not installed.
        PocketcnnError: there is no cluster at that address.
    """
    if ray is not None:
        from pocketcnn.nas.workers.ray_cluster import RayWorkers

        return RayWorkers(evaluate, count, ray)
    return Inline(evaluate) if count == 1 else Processes(evaluate, count)
