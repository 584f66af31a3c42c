"""Damaged files: each is read, or refused with a message; never a traceback, a hang, or a gigabyte of memory.

    python -m benchmarks.fuzz                                     # all of it, some 40 minutes of one core
    python -m benchmarks.fuzz --only study --cases 100 --seed 7

Each case follows from (seed, kind, number) alone. Cases run in a process of their own, in groups, whose memory is limited to a
gigabyte more than it has when it begins; one that takes ten seconds of a processor, or a minute, is ended, and the next one goes
on in a new process. What failed is kept under --keep, to be looked at. Writes docs/benchmarks/fuzz.json.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.fuzzing.runner import Failure, fuzzed
from pocketcnn.files import write_text

OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "fuzz.json"
CASES = {
    "model": 10_000,
    "onnx": 5_000,
    "study": 1_000,
    "latency table": 2_000,
    "recipe": 2_000,
    "target": 2_000,
    "space": 2_000,
}
SHOWN = 5


def main() -> int:
    options = _options()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.only and options.out.is_file() else {}
    failed = 0
    for kind, usual in CASES.items():
        if options.only not in ("", kind):
            continue
        cases = options.cases or usual
        with TemporaryDirectory() as folder:
            counted, failures, seconds = fuzzed(kind, cases, options.seed, Path(folder), options.keep)
        results[kind] = {"cases": cases, "seed": options.seed, "seconds": round(seconds), **counted}
        write_text(options.out, json.dumps(results, indent=1) + "\n")
        print(kind, results[kind])
        failed += len(failures)
        for failure, times in Counter(map(_in_short, failures)).most_common(SHOWN):
            print(f"  {times} x {failure}")
    return 1 if failed else 0


def _in_short(failure: Failure) -> str:
    return f"{failure.outcome}: {failure.what}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", choices=["", *CASES], help="one kind of file")
    parser.add_argument("--cases", type=int, default=0, help="of each kind, in place of the usual number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files that failed")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
