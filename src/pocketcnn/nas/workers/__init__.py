"""Where points are evaluated: in this process, in several on this machine, or on a Ray cluster."""

from pocketcnn.nas.workers.base import Evaluator, Inline, Outcome, Workers
from pocketcnn.nas.workers.processes import Processes

__all__ = ["Evaluator", "Inline", "Outcome", "Processes", "Workers", "workers_for"]


def workers_for(evaluate: Evaluator, count: int = 1, ray: str | None = None) -> Workers:
    """One worker is this process; more are processes of their own, or tasks on the Ray cluster at the address `ray`.

    Raises:
        UsageError: there are to be none, or `evaluate` cannot be sent to them.
        MissingExtra: Ray is not installed.
        PocketcnnError: there is no cluster at that address.
    """
    if ray is not None:
        from pocketcnn.nas.workers.ray_cluster import RayWorkers

        return RayWorkers(evaluate, count, ray)
    return Inline(evaluate) if count == 1 else Processes(evaluate, count)
