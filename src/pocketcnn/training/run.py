"""The state of one training, which can be advanced, saved and restored."""

import math
import time
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.training.basis import KEY, TrainingBasis
from pocketcnn.training.batch_norm import StatisticsWarmup
from pocketcnn.training.batches import evaluation_loader, size_of, training_loader
from pocketcnn.training.checkpoint_state import (
    POSITION,
    check_optimizer,
    check_parts,
    check_position,
    check_weights,
)
from pocketcnn.training.devices import Precision
from pocketcnn.training.ema import NetworkAverage
from pocketcnn.training.evaluate import check_labels, score
from pocketcnn.training.history import EpochRecord, TrainResult
from pocketcnn.training.hooks import TrainingHooks
from pocketcnn.training.interrupt import Interrupts
from pocketcnn.training.objective import Objective
from pocketcnn.training.optimizer import build_optimizer, build_schedule, lower_rate
from pocketcnn.training.recipe import Recipe
from pocketcnn.training.rng import rng_state, seed_everything, set_rng_state
from pocketcnn.training.slimming import ScalePenalty

EVALUATION_BATCH = 256
STEPS_BETWEEN_CHECKS = 50  # of the loss on an accelerator, where reading it synchronizes with the device
FREE_TO_CHANGE = {"workers", "device", "amp"}  # on resume; all other fields affect the result


class NonFiniteLoss(PocketcnnError):
    """The training diverged."""


class TrainingRun:
    """The state of a training. The network must already be on `device`, in the memory format of the images."""

    def __init__(
        self,
        network: nn.Module,
        train_set: Dataset[Any],
        val_set: Dataset[Any],
        recipe: Recipe,
        *,
        objective: Objective,
        statistics: StatisticsWarmup,
        classes: int,
        device: torch.device,
        memory_format: torch.memory_format,
        basis: TrainingBasis | None = None,
    ) -> None:
        self.basis = basis
        self.network, self.recipe, self.objective, self.classes = network, recipe, objective, classes
        self.hooks, self.slimming = TrainingHooks(network), ScalePenalty(network, recipe.bn_l1)
        self.statistics, self.device, self.memory_format = statistics, device, memory_format
        on_gpu = device.type == "cuda"
        self.loader, self.sampler = training_loader(
            train_set, recipe.batch_size, seed=recipe.seed, workers=recipe.workers, pin_memory=on_gpu
        )
        self.val_loader = evaluation_loader(val_set, EVALUATION_BATCH, workers=recipe.workers, pin_memory=on_gpu)
        self.sizes = [size_of(train_set), size_of(val_set)]
        self.precision = Precision.choose(recipe.amp, device)
        self.scaler = self.precision.scaler()
        self.trained = network if objective.distiller is None else nn.ModuleList([network, objective.distiller])
        self.optimizer = build_optimizer(self.trained, recipe)
        self.schedule = build_schedule(
            self.optimizer,
            epochs=recipe.epochs,
            warmup_epochs=recipe.warmup_epochs,
            steps_per_epoch=len(self.sampler),
        )
        self.average = NetworkAverage(network, recipe.ema_decay) if recipe.ema_decay else None
        self.epoch = self.batch = self.step = 0  # finished epochs, batches of the current epoch, total steps
        self.seconds = 0.0  # of the current epoch
        self.loss_sum = torch.zeros((), device=device)  # over its samples so far
        self.samples = 0
        self.history: list[EpochRecord] = []
        self.best: dict[str, Any] = {}  # epoch and weights, once there is one
        seed_everything(recipe.seed)

    @property
    def kept(self) -> nn.Module:
        """The network whose weights are validated and kept: the EMA if there is one."""
        return self.network if self.average is None else self.average.module

    @property
    def progress(self) -> float:
        """The finished share of the recipe's steps, 0 … 1."""
        return self.step / (self.recipe.epochs * len(self.sampler))

    def advance(self, images: Tensor, labels: Tensor) -> Tensor:
        """One optimizer step on images (N, C, H, W) and labels (N,); returns the mean loss, a detached scalar."""
        check_labels(labels, self.classes)
        images = images.to(self.device, non_blocking=True, memory_format=self.memory_format)
        labels = labels.to(self.device, non_blocking=True)
        self.statistics.set_for(self.step)
        self.hooks.set_progress(self.progress)
        self.optimizer.zero_grad()
        with self.precision.autocast():
            loss = self.slimming.added_to(self.hooks.added_to(self.objective(self.network, images, labels)))
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._update()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.batch += 1
        self.step += 1
        self.samples += len(labels)
        loss = loss.detach()
        self.loss_sum += loss * len(labels)
        if self.device.type == "cpu" or self.step % STEPS_BETWEEN_CHECKS == 0:
            self.check_loss(float(self.loss_sum))
        return loss

    def _update(self) -> None:
        if self.recipe.gradient_clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.trained.parameters(), self.recipe.gradient_clip)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.get_scale() >= scale:  # a lower scale means that this step overflowed and was skipped
            self.schedule.step()

    def finish_epoch(self, interrupts: Interrupts) -> EpochRecord:
        """Validate, record the epoch, keep the weights if they are the best so far, and go to the next epoch.

        Weights from before all scheduled modules are final (see `Scheduled.is_final`) are replaced by the first final ones.
        """
        self.check_loss(float(self.loss_sum))
        self.hooks.set_progress(self.progress)
        if self.average is not None:
            self.average.copy_counters()
        began = time.perf_counter()
        batches = (
            (images.to(self.device, memory_format=self.memory_format), labels.to(self.device))
            for images, labels in interrupts.watching(self.val_loader)
        )
        found = score(self.kept.eval(), batches)
        self.check_loss(found.loss)
        record = EpochRecord(
            epoch=self.epoch + 1,
            loss=float(self.loss_sum) / self.samples,
            learning_rate=self._last_rate(),
            val_loss=found.loss,
            val_accuracy=found.top1,
            seconds=self.seconds + time.perf_counter() - began,
        )
        self.history.append(record)
        is_final = self.hooks.are_final
        if not self.best or (is_final, *self._rank(record)) >= self._best_rank():
            self.best = {"epoch": record.epoch, "settled": is_final, "network": deepcopy(self.kept.state_dict())}
        self.epoch, self.batch, self.samples, self.seconds = self.epoch + 1, 0, 0, 0.0
        self.loss_sum.zero_()
        return record

    @staticmethod
    def _rank(record: EpochRecord) -> tuple[float, float]:
        """Small validation sets tie often; then the loss decides."""
        return record.val_accuracy, -record.val_loss

    def _best_rank(self) -> tuple[bool, float, float]:
        return (self.best.get("settled", True), *self._rank(self.history[self.best["epoch"] - 1]))

    def check_loss(self, loss: float) -> None:
        """Raise `NonFiniteLoss` if the training has diverged."""
        if not math.isfinite(loss):
            rate = self.recipe.learning_rate
            raise NonFiniteLoss(
                f"The loss became {loss} in epoch {self.epoch + 1} of {self.recipe.epochs}, step {self.step}: "
                f"the training diverged. Lower learning_rate (it is {rate:g}; try {lower_rate(self.recipe):g}), "
                "set gradient_clip = 1.0, or increase warmup_epochs, and train into another folder."
            )

    def _last_rate(self) -> float:
        factor = self.schedule.lr_lambdas[0](max(0, self.schedule.last_epoch - 1))
        return self.recipe.learning_rate * float(factor)

    def result(self) -> TrainResult:
        """The result so far. At least one epoch must be finished."""
        best = self.history[self.best["epoch"] - 1]
        return TrainResult(
            history=tuple(self.history),
            best_epoch=best.epoch,
            val_accuracy=best.val_accuracy,
            val_loss=best.val_loss,
            steps=self.step,
            finished=self.epoch >= self.recipe.epochs,
        )

    def state_dict(self) -> dict[str, Any]:
        """The whole state, as tensors and plain values."""
        return {
            "recipe": self.recipe.model_dump(),
            "sizes": self.sizes,
            "teachers": self._teachers,
            "lesson": None if self.objective.distiller is None else self.objective.distiller.state_dict(),
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "position": {name: getattr(self, name) for name in POSITION},
            "loss_sum": self.loss_sum,
            "rng": rng_state(self.device),
            "history": [asdict(record) for record in self.history],
            "best": self.best,
            **({KEY: self.basis.state_dict()} if self.basis is not None else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            UsageError: the state belongs to a training with another recipe, other sets or another network.
            CheckpointError: it is not the state of a training.
        """
        check_parts(state)
        self._check_same(state)
        check_position(
            state,
            epochs=self.recipe.epochs,
            steps_per_epoch=len(self.sampler),
            samples=len(self.loader.dataset),  # type: ignore[arg-type]
        )
        check_optimizer(state, self.optimizer, self.schedule)
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise UsageError("The checkpoint belongs to another network: " + " ".join(str(error).split())) from error
        if self.objective.distiller is not None:
            self.objective.distiller.load_state_dict(state["lesson"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        check_weights(state["best"], self.network, self.optimizer)
        for name in POSITION:
            setattr(self, name, state["position"][name])
        self.loss_sum.copy_(state["loss_sum"])
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.best = state["best"]
        set_rng_state(state["rng"], self.device)

    @property
    def _teachers(self) -> int:
        return 0 if self.objective.distiller is None else len(self.objective.distiller.teachers)

    def _check_same(self, state: dict[str, Any]) -> None:
        mine = {**self.recipe.model_dump(), "sizes": self.sizes, "teachers": self._teachers}
        theirs = {**Recipe().model_dump(), **state["recipe"], "sizes": state["sizes"], "teachers": state["teachers"]}
        changed = [] if self.basis is None or KEY not in state else self.basis.changes_from(state[KEY])
        changed += [
            f"{_NAMES.get(name, name)} was {theirs.get(name)!r} and is {mine.get(name)!r}"
            for name in sorted(mine.keys() | theirs.keys())
            if name not in FREE_TO_CHANGE and mine.get(name) != theirs.get(name)
        ]
        if changed:
            raise UsageError(
                f"This is not the training that was interrupted: {'; '.join(changed)}. "
                "Resume it with the same images and settings, or train into another folder (out=…, --out)."
            )


_NAMES = {"sizes": "the number of training and validation images", "teachers": "the number of teachers"}
