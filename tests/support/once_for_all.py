"""A small supernet for the three classes of digits, and how little it is trained.

    python -m tests.support.once_for_all DIGITS OUT

runs the training that the tests look at, in a process that can be killed.
"""

import sys
from pathlib import Path

from pocketcnn.nas.supernet.plan import Stage, SupernetPlan
from pocketcnn.pipeline.effort import Effort, SupernetEffort
from pocketcnn.pipeline.search.once_for_all import OnceForAll, once_for_all

PLAN = SupernetPlan(
    in_channels=1,
    classes=3,
    stem=8,
    stem_stride=1,
    first=8,
    stages=(Stage(8, 1, "relu", False), Stage(16, 2, "hardswish", True)),
    last=24,
    head=16,
    sizes=((8, 8),),
    kernels=(3, 5),
    expansions=(2, 3),
    depths=(1, 2),
    width=0.1,
)
EFFORT = Effort(
    candidates=1,
    rounds=(3,),
    final_steps=8,
    recovery_steps=8,
    quantized_steps=3,
    short_steps=1,
    min_epochs=1,
    source="supernet",
    supernet=SupernetEffort(steps=40, subnetworks=6, population=4, generations=1, finalists=2),
)
BUDGETS = ("macs<=150k", "macs<=90k, params<=7k")


def run(digits: Path, out: Path) -> OnceForAll:
    return once_for_all(digits, BUDGETS, out, effort=EFFORT, plan=PLAN)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
