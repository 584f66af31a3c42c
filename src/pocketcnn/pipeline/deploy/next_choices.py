"""The next better choices after a result: what more bytes would give, as measured on the way, and whether time may help."""

from collections.abc import Sequence

from pocketcnn.pipeline.accuracy_check import loss
from pocketcnn.pipeline.effort import EFFORTS, Effort
from pocketcnn.records.result import ArtefactRecord, NextChoice, StageRecord
from pocketcnn.targets.units import format_bytes

WORTH = 0.01
"""Gain of validation accuracy from which a larger network is a choice, as a share."""


def next_choices(stages: Sequence[StageRecord], artefact: ArtefactRecord, effort: Effort) -> tuple[NextChoice, ...]:
    """Larger networks of the same run with a better validation accuracy, by size; last, what more training may give.

    The accuracies are measured, in PyTorch. The sizes are those of the weights as counted, so the files would be slightly larger.
    """
    larger: list[NextChoice] = []
    best = artefact.validation.top1
    for stage in sorted(stages, key=lambda stage: stage.weight_bytes):
        if stage.weight_bytes > artefact.bytes and stage.validation.top1 >= best + WORTH:
            best = stage.validation.top1
            larger.append(_larger(stage, artefact))
    return (*larger, _more_time(effort, limited_by_bytes=bool(larger)))


def _larger(stage: StageRecord, artefact: ArtefactRecord) -> NextChoice:
    sure = "" if loss(stage.validation, artefact.validation).low > 0 else "; within the error of so few images"
    return NextChoice(
        bytes=stage.weight_bytes,
        validation=stage.validation,
        test=stage.test,
        measured=True,
        text=f"{format_bytes(stage.weight_bytes)}: {100 * stage.test.top1:.1f} % on test, {100 * stage.validation.top1:.1f} % on "
        f"validation (the stage “{stage.name}”, measured in PyTorch; size of the weights{sure})",
    )


def _more_time(effort: Effort, *, limited_by_bytes: bool) -> NextChoice:
    """What more training may give: not measured, and said so."""
    reason = "" if limited_by_bytes else "No larger network of this run was better, so that bytes did not limit it. "
    step = next(((name, each) for name, each in EFFORTS.items() if each.final_steps > effort.final_steps), None)
    if step is None:
        text = "The effort is the largest; more images, above all of the classes with low recall, may help"
    else:
        times = step[1].final_steps / effort.final_steps
        text = f"--effort {step[0]} ({times:.3g} times the steps of the final training) may give more"
    return NextChoice(text=f"{reason}{text}: not measured")
