"""A program that loads one artefact and predicts once; `cold_start` runs it in a separate process.

    python -m pocketcnn.runtimes.first_prediction RUNTIME ARTEFACT THREADS [1xCxHxW]

It prints one line of JSON: the shape of the batch, the seconds of each step, and the peak memory. Before the runtime it
imports only NumPy and the interface of runtimes.
"""

import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pocketcnn.errors import PocketcnnError
from pocketcnn.runtimes.base import Session
from pocketcnn.runtimes.machine import peak_memory
from pocketcnn.runtimes.registry import get_runtime


def first_prediction(name: str, artefact: Path, threads: int, shape: tuple[int, ...] | None) -> dict[str, Any]:
    """Import, build and run; returns the seconds and the peak memory after each step."""
    started = time.perf_counter()
    runtime = get_runtime(name)
    import_module(runtime.library)
    imported, import_bytes = time.perf_counter(), peak_memory()
    session = runtime.build(artefact, threads=threads)
    built = time.perf_counter()
    shape = shape or declared_shape(session)
    session.run(np.zeros(shape, np.float32))
    predicted = time.perf_counter()
    return {
        "predicted_at": predicted,
        "shape": shape,
        "import_seconds": imported - started,
        "build_seconds": built - imported,
        "run_seconds": predicted - built,
        "import_bytes": import_bytes,
        "peak_bytes": peak_memory(),
    }


def declared_shape(session: Session) -> tuple[int, ...]:
    """The shape of a batch with one image, as the artefact declares it.

    Raises:
        PocketcnnError: the artefact does not declare it.
    """
    declared = session.input_shape
    if declared is None or None in declared[1:]:
        raise PocketcnnError("the file does not declare the size of its input images")
    return tuple(axis or 1 for axis in declared)


def main(arguments: Sequence[str]) -> int:
    """Print the line of JSON and return 0, or print the error to stderr and return 1."""
    name, artefact, threads, *shape = arguments
    try:
        batch = tuple(map(int, shape[0].split("x"))) if shape else None
        report = first_prediction(name, Path(artefact), int(threads), batch)
    except PocketcnnError as error:
        sys.stderr.write(f"\n{error}\n")
        return error.exit_code
    sys.stdout.write(f"\n{json.dumps(report)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
