"""Latency measurement on a target: the public `pocketcnn.measure`."""

import difflib
import os
from contextlib import closing

import numpy as np

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.runtimes.base import FloatArray, Session
from pocketcnn.runtimes.registry import get_runtime, runtime_names
from pocketcnn.runtimes.timing import DEFAULT_RULE, Latency, StopRule
from pocketcnn.runtimes.timing import measure as time_session
from pocketcnn.targets.limits import DEFAULT_TARGET
from pocketcnn.targets.target import Target, is_path, list_targets, load_target
from pocketcnn.targets.verdict import Figure

Shape = tuple[int, ...]


def measure(
    network_or_path: object,
    runtime: str | os.PathLike[str] | Target = DEFAULT_TARGET,
    *,
    threads: int | None = None,
    shape: Shape | None = None,
    rule: StopRule = DEFAULT_RULE,
) -> Latency:
    """Measure the latency of a network: an .onnx file (path or bytes), or an `nn.Module` on a torch target.

    Args:
        network_or_path: what to measure.
        runtime: a target (its name, its .toml file, or a `Target`), or the name of a runtime, with one thread.
        threads: overrides the target's.
        shape: the batch (N, C, H, W). It may be omitted if the file declares it; a free batch axis is then 1. Images are
            random, with mean 0 and standard deviation 1.
        rule: when to stop repeating.

    Raises:
        UsageError: an unknown target or runtime, a missing file, or a shape that is missing or does not fit.
        PocketcnnError: the runtime is not installed, or the network cannot run.
    """
    target = _target(runtime)
    count = target.thread_count if threads is None else threads
    if count < 1:
        raise UsageError(f"The number of threads must be at least 1, not {count}.")
    engine = get_runtime(runtime_of(target))
    absent = engine.available()
    if absent is not None:
        raise PocketcnnError(f"The runtime {engine.name} cannot be used here: {absent}")
    with closing(engine.build(network_or_path, threads=count)) as session:
        return time_session(session, example_batch(session, shape), rule=rule)


def runtime_of(target: Target) -> str:
    """The name of the runtime that runs `target` on this machine.

    Raises:
        UsageError: there is none.
    """
    if target.runtime is None:
        raise UsageError(
            f"{target.name} is not on this machine, so nothing can be measured on it. "
            f"Estimate a lower bound with: pocketcnn target check FILE --target {target.name}"
        )
    return target.runtime


def example_batch(session: Session, shape: Shape | None = None) -> FloatArray:
    """Random images of `shape` (N, C, H, W), or of the shape that `session` declares, with batch size 1.

    Raises:
        UsageError: the shape is unknown, or the two contradict each other.
    """
    declared = session.input_shape
    if shape is None:
        if declared is None or None in declared[1:]:
            raise UsageError(
                "The network does not declare its input size. Pass shape=(N, C, H, W), "
                "for example shape=(1, 3, 224, 224)."
            )
        shape = tuple(axis or 1 for axis in declared)
    if len(shape) != 4 or min(shape) < 1:
        raise UsageError(f"The shape of a batch must be (N, C, H, W) with positive numbers, not {shape}.")
    if declared is not None and any(fixed not in (None, axis) for fixed, axis in zip(declared, shape, strict=True)):
        free = tuple("any" if axis is None else axis for axis in declared)
        raise UsageError(f"The network takes a batch of shape {free}, not {shape}.")
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def latency_figure(latency: Latency) -> Figure:
    """`latency` as a figure for a budget: the median, with the 10th and 90th percentile."""
    low, high = latency.interval
    session = latency.session
    threads = "1 thread" if session.threads == 1 else f"{session.threads} threads"
    how = (
        f"{session.runtime} {session.version}, {threads} of "
        f"{latency.machine.cpu}: median of {latency.repeats}, 95 % interval {(high - low) / latency.median:.1%} wide"
        + ("" if latency.converged else ", which is wider than required: the time limit was reached")
    )
    return Figure(latency.median, latency.p10, latency.p90, how)


def _target(runtime: str | os.PathLike[str] | Target) -> Target:
    if isinstance(runtime, Target):
        return runtime
    name = os.fspath(runtime)
    if name in runtime_names():
        return Target(name=name, runtime=name)
    if is_path(name):
        return load_target(name)
    known = (*list_targets(), *runtime_names())
    if name.casefold() not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"There is no target or runtime named {name!r}.{hint} Known: {', '.join(known)}.")
    return load_target(name)
