"""`train`: trains a network on two sets by a recipe; the network gets the best weights, and the history is returned.

The caller's random streams, and the network's device and mode, are restored. An interrupted training resumes exactly where it
stopped.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from pocketcnn.errors import Interrupted, UsageError
from pocketcnn.training.basis import TrainingBasis
from pocketcnn.training.batch_norm import warmed_statistics
from pocketcnn.training.devices import Precision, choose_device, choose_memory_format, in_memory_format, placed
from pocketcnn.training.distiller import Distiller
from pocketcnn.training.history import TrainResult
from pocketcnn.training.inputs import check_sets, check_teacher, count_classes, sample_images
from pocketcnn.training.interrupt import Interrupts, StopRequested, deferred_interrupts
from pocketcnn.training.objective import Objective, build_mixer
from pocketcnn.training.progress import Progress, QuietProgress
from pocketcnn.training.recipe import Recipe
from pocketcnn.training.rng import preserved_rng
from pocketcnn.training.run import NonFiniteLoss, TrainingRun
from pocketcnn.training.saver import CheckpointSaver
from pocketcnn.training.tensorboard import ScalarLog, scalar_log

Teachers = nn.Module | Sequence[nn.Module]
"""One teacher, or several as an ensemble."""


def train(
    network: nn.Module,
    train_set: Dataset[Any],
    val_set: Dataset[Any],
    recipe: Recipe | None = None,
    *,
    out: Path | None = None,
    teacher: Teachers | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
    basis: TrainingBasis | None = None,
) -> TrainResult:
    """Train `network` in place. Afterwards it has the weights of the epoch with the best accuracy on `val_set` (EMA if
    enabled).

    Args:
        network: a classifier: (N, C, H, W) -> logits (N, classes).
        train_set, val_set: map-style, of (float image (C, H, W), label 0 … classes - 1).
        recipe: hyperparameters.
        out: folder for `checkpoints/` and, if TensorBoard is installed, `tensorboard/`. None writes nothing.
        teacher: a network to distil: predictions and, if the recipe says so, feature maps. Several teachers form an ensemble
            by the mean of their softened probabilities.
        resume: resume the training in `out` (bit for bit on a CPU); start it if there is none.
        stop_after: stop after this epoch, to be resumed later.
        checkpoint_seconds: time between checkpoints; 0 writes one after every step. The end is always saved.
        progress: receives the progress.
        basis: what the training depends on beside the recipe. It is stored in the checkpoints, and must be the same to resume.

    Raises:
        UsageError: network, sets, teacher, recipe or folder do not match.
        NonFiniteLoss: the training diverged; earlier checkpoints are kept.
        Interrupted: Ctrl-C. The state is saved in `out`, and the network has unfinished weights.
        PocketcnnError: the disk is full; earlier checkpoints are kept.
    """
    recipe = recipe or Recipe()
    check_sets(train_set, val_set)
    if stop_after is not None and stop_after < 1:
        raise UsageError(f"stop_after must be at least 1 epoch, got {stop_after}.")
    device = choose_device(recipe.device)
    saver = CheckpointSaver(out / "checkpoints" if out else None, checkpoint_seconds)
    with (
        progress or QuietProgress() as shown,
        preserved_rng(device),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        _prepared(network, _as_tuple(teacher), train_set, recipe, device) as (objective, classes, memory_format),
        warmed_statistics(network) as statistics,
        deferred_interrupts() as interrupts,
    ):
        run = TrainingRun(
            network,
            train_set,
            val_set,
            recipe,
            objective=objective,
            statistics=statistics,
            classes=classes,
            device=device,
            memory_format=memory_format,
            basis=basis,
        )
        saver.restore(run, resume=resume, progress=shown)
        with scalar_log(out, shown, first_epoch=run.epoch + 1) as log:
            _run_to(min(recipe.epochs, stop_after or recipe.epochs), run, saver, log, interrupts, shown)
        network.load_state_dict(run.best["network"])
        return run.result()


def distil(
    student: nn.Module,
    teacher: Teachers,
    train_set: Dataset[Any],
    val_set: Dataset[Any],
    recipe: Recipe | None = None,
    **options: Any,
) -> TrainResult:
    """Train `student` with one or several teachers: `train` with a teacher, and with its options.

    `Recipe.distillation_weight` and `distillation_temperature` control the loss on softened predictions,
    `distillation_features` (``attention`` or ``hint``) the loss on feature maps.
    """
    return train(student, train_set, val_set, recipe, teacher=teacher, **options)


def _as_tuple(teacher: Teachers | None) -> tuple[nn.Module, ...]:
    return () if teacher is None else (teacher,) if isinstance(teacher, nn.Module) else tuple(teacher)


@contextlib.contextmanager
def _prepared(
    network: nn.Module, teachers: Sequence[nn.Module], train_set: Dataset[Any], recipe: Recipe, device: torch.device
) -> Iterator[tuple[Objective, int, torch.memory_format]]:
    """Check that network, teachers and images match; inside, the networks are on the device in the common memory format."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(placed(network, device, training=False))
        images = sample_images(train_set, device)
        classes = count_classes(network, images)
        networks = [network, *teachers]
        for teacher in teachers:
            stack.enter_context(placed(teacher, device, training=False))
            check_teacher(teacher, images, classes)
        distiller = Distiller.planned(recipe, network, teachers, images) if teachers else None
        memory_format = _common_memory_format(networks, images, recipe)
        if memory_format is torch.channels_last:
            for each in networks:
                stack.enter_context(in_memory_format(each, memory_format))
        yield Objective(recipe, build_mixer(recipe, classes), distiller), classes, memory_format


def _common_memory_format(networks: list[nn.Module], images: torch.Tensor, recipe: Recipe) -> torch.memory_format:
    """Channels last where it is faster: on CPUs, and in half precision on GPUs."""
    is_faster = images.device.type == "cpu" or Precision.choose(recipe.amp, images.device).dtype is not None
    accepted = is_faster and all(choose_memory_format(each, images) is torch.channels_last for each in networks)
    return torch.channels_last if accepted else torch.contiguous_format


def _run_to(
    last: int, run: TrainingRun, saver: CheckpointSaver, log: ScalarLog, interrupts: Interrupts, progress: Progress
) -> None:
    """Train until epoch `last` is finished, and leave a checkpoint however it ends."""
    progress.start(epochs=run.recipe.epochs, steps_per_epoch=len(run.sampler), steps_done=run.step)
    try:
        while run.epoch < last:
            _train_epoch(run, saver, interrupts, progress)
            record = run.finish_epoch(interrupts)
            log.epoch(record)
            progress.epoch(record)
            saver.step(run)
            interrupts.check()
        saver.save(run)
        interrupts.check()
    except StopRequested:
        saver.save(run)
        raise _interrupted(run, saver) from None
    except KeyboardInterrupt:  # a second Ctrl-C, or one inside a step: the state is inconsistent
        raise _interrupted(run, saver) from None
    except NonFiniteLoss as error:
        raise NonFiniteLoss(f"{error} {saver.kept()}") from error


def _train_epoch(run: TrainingRun, saver: CheckpointSaver, interrupts: Interrupts, progress: Progress) -> None:
    """The remaining steps of the current epoch."""
    run.network.train()
    run.sampler.start_at(run.epoch, run.batch)
    if run.batch == len(run.sampler):  # interrupted during validation
        return
    before, began = run.seconds, time.perf_counter()
    for images, labels in run.loader:
        loss = run.advance(images, labels)
        run.seconds = before + time.perf_counter() - began
        progress.step(run.epoch + 1, loss)
        saver.step(run)
        interrupts.check()


def _interrupted(run: TrainingRun, saver: CheckpointSaver) -> Interrupted:
    return Interrupted(
        f"Training stopped in epoch {min(run.epoch + 1, run.recipe.epochs)} of {run.recipe.epochs}. "
        f"{saver.resume_hint()}"
    )
