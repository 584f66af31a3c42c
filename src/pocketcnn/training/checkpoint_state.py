"""Validation of what a checkpoint holds: a file that can be read may still not be the state of this training."""

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from pocketcnn.errors import PocketcnnError

KEYS = frozenset(
    {
        "recipe", "sizes", "teachers", "lesson", "network", "average", "optimizer", "schedule", "scaler", "position",
        "loss_sum", "rng", "history", "best",
    }
)  # fmt: skip
"""The parts of a checkpoint; see `TrainingRun.state_dict`."""

STATE_OF: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "SGD": frozenset({"momentum_buffer"}),
        "AdamW": frozenset({"step", "exp_avg", "exp_avg_sq"}),
        "RMSprop": frozenset({"step", "square_avg", "momentum_buffer"}),
    }
)
"""By optimizer, what it keeps of each weight tensor."""

SCHEDULE_PROGRESS = frozenset({"last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step"})
"""Fields of a learning-rate schedule that change from step to step."""

POSITION = ("epoch", "batch", "step", "samples", "seconds")
"""Finished epochs; batches, samples and seconds of the current epoch; steps of the whole training."""


class CheckpointError(PocketcnnError):
    """The contents of a checkpoint are not the state of a training."""


def check_parts(state: Mapping[str, Any]) -> None:
    """Check that a checkpoint has all parts, of the right kinds.

    Raises:
        CheckpointError: a part is missing or of another kind.
    """
    missing = sorted(KEYS - state.keys())
    _require(not missing, f"it lacks {', '.join(missing)}")
    for name in ("recipe", "network", "optimizer", "schedule", "scaler", "position", "rng", "best"):
        _require(isinstance(state[name], Mapping), f"its {name} is no table of values")
    for name in ("sizes", "history"):
        _require(isinstance(state[name], list), f"its {name} is no list")
    _require(isinstance(state["loss_sum"], Tensor) and state["loss_sum"].ndim == 0, "its sum of losses is no number")
    _require(set(state["position"]) == set(POSITION), "its position has other fields")
    _require(all(isinstance(record, Mapping) for record in state["history"]), "its history has an entry that is none")


def check_position(state: Mapping[str, Any], *, epochs: int, steps_per_epoch: int, samples: int) -> None:
    """Check that the position lies within the training, and that history and best epoch belong to it.

    Args:
        state: with all parts, see `check_parts`.
        epochs: of the training.
        steps_per_epoch: optimizer steps of an epoch.
        samples: training images.

    Raises:
        CheckpointError: with the contradiction.
    """
    position = state["position"]
    epoch, batch, step, seen = (_count(position, name) for name in POSITION[:4])
    _require(epoch <= epochs, f"it stands after epoch {epoch}, and the training has {epochs}")
    _require(
        batch < steps_per_epoch or (batch == steps_per_epoch and epoch < epochs),
        f"it stands after batch {batch} of {steps_per_epoch}",
    )
    _require(
        step == epoch * steps_per_epoch + batch, f"step {step} is not the one after epoch {epoch} and batch {batch}"
    )
    _require(seen <= samples, f"it has seen {seen} images of {samples} in one epoch")
    _require(_finite(position["seconds"]), "its time is no number")
    numbers = [record.get("epoch") for record in state["history"]]
    _require(numbers == list(range(1, epoch + 1)), f"its history does not have the {epoch} finished epochs")
    for record in state["history"]:
        _require(all(map(_finite, record.values())), "its history holds what is no number")
    best = state["best"]
    _require(bool(best) == (epoch > 0), "its best epoch does not belong to its history")
    if best:
        _require(_is_count(best.get("epoch")) and 1 <= best["epoch"] <= epoch, "its best epoch is none of its epochs")
        _require(isinstance(best.get("settled", True), bool), "its best epoch has a field of another kind")
        _require(isinstance(best.get("network"), Mapping), "it lacks the weights of its best epoch")


def check_optimizer(state: Mapping[str, Any], optimizer: torch.optim.Optimizer, schedule: LRScheduler) -> None:
    """Check that the settings of optimizer and schedule are those of this training; only progress may differ.

    Raises:
        CheckpointError: with the part that differs.
    """
    theirs, mine = state["schedule"], schedule.state_dict()
    _require(_same(theirs, mine, SCHEDULE_PROGRESS), "its learning-rate schedule is another one")
    step = state["position"]["step"]
    _require(theirs["last_epoch"] == step, "its learning-rate schedule stands at another step")
    _require(theirs["_step_count"] == step + 1, "its learning-rate schedule stands at another step")
    _require(
        _are_numbers(theirs["_last_lr"]) and not theirs["_get_lr_called_within_step"], "its learning rate is no number"
    )
    groups = state["optimizer"].get("param_groups")
    own = optimizer.state_dict()["param_groups"]
    _require(isinstance(groups, list) and len(groups) == len(own), "its optimizer has other groups of weights")
    for group, expected in zip(groups, own, strict=True):
        _require(isinstance(group, Mapping) and _same(group, expected, {"lr"}), "its optimizer has other settings")
        _require(_finite(group["lr"]) and group["lr"] >= 0, "its learning rate is no number")


def _same(theirs: Mapping[str, Any], mine: Mapping[str, Any], free: Collection[str]) -> bool:
    """Whether two tables have the same entries, apart from the values of those in `free`."""
    return theirs.keys() == mine.keys() and all(repr(theirs[key]) == repr(mine[key]) for key in mine.keys() - set(free))


def check_weights(best: Mapping[str, Any], network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Check that the weights of the best epoch fit the network, and the optimizer's state its parameters.

    Raises:
        CheckpointError: a tensor is missing, of another shape, or not finite.
    """
    expected = network.state_dict()
    if best:
        _require(set(best["network"]) == set(expected), "the weights of its best epoch have other names")
        for name, tensor in best["network"].items():
            fits = isinstance(tensor, Tensor) and tensor.shape == expected[name].shape
            _require(
                fits and (not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())),
                f"its {name} is damaged",
            )
    fields = STATE_OF[type(optimizer).__name__]
    for parameter, values in optimizer.state.items():
        _require(fields - {"momentum_buffer"} <= set(values) <= fields, "its optimizer has other values")
        for name, value in values.items():
            shape = () if name == "step" else parameter.shape
            fits = isinstance(value, Tensor) and value.shape == shape and bool(torch.isfinite(value).all())
            _require(fits or (value is None and name == "momentum_buffer"), f"the {name} of its optimizer is damaged")


def _count(position: Mapping[str, Any], name: str) -> int:
    value = position[name]
    _require(_is_count(value), f"its {name} is {value!r}")
    return int(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and all(map(_finite, values))


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise CheckpointError(problem)
