"""A trained supernet as a file, from which sub-networks for new budgets can be extracted without training.

The format is `.safetensors` with a JSON header, like model files: loading executes no code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from pocketcnn.documents import as_record
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.files import write_bytes
from pocketcnn.nas.supernet.network import Supernet
from pocketcnn.nas.supernet.plan import SupernetPlan

FORMAT = 1
HEADER = "pocketcnn-supernet"

LARGEST = 65_536
"""Channels, classes and strides of a plan; more is damage."""

MOST_CHOICES = 64
"""The largest kernel, expansion, depth and number of stages."""


@dataclass(frozen=True)
class StoredSupernet:
    """A supernet and the notes on its training, as plain data."""

    supernet: Supernet
    notes: Mapping[str, Any]


def save_supernet(path: Path, supernet: Supernet, notes: Mapping[str, Any]) -> None:
    """Write `supernet` to `path`, atomically.

    Raises:
        PocketcnnError: the disk is full or the folder is not writable.
    """
    header = {"format": FORMAT, "plan": supernet.plan.as_dict(), "notes": dict(notes)}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in supernet.state_dict().items()}
    write_bytes(path, to_bytes(state, metadata={HEADER: json.dumps(header)}))


def load_supernet(path: Path) -> StoredSupernet:
    """Read what `save_supernet` wrote; the supernet is in eval mode.

    Raises:
        UsageError: the file is missing, does not hold a supernet, or was written by a later version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a supernet file: {error}.") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UsageError(
            f"{path} is not a supernet file of this version of pocketcnn. If a later version wrote it, install that version."
        )
    try:
        plan: SupernetPlan = as_record(header.get("plan"), SupernetPlan)
        notes: dict[str, Any] = as_record(header.get("notes"), dict[str, Any])
        _check_size(plan, state)
        supernet = Supernet(plan)
        supernet.load_state_dict(state)
    except (ValueError, KeyError, UsageError) as error:
        raise UsageError(f"The plan in {path} is damaged: {error}.") from error
    except RuntimeError as error:
        raise PocketcnnError(f"The tensors in {path} do not match its plan: {error}") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise UsageError(f"The weights in {path} are not finite. Was it saved after a diverged training?")
    return StoredSupernet(supernet.eval(), notes)


def _check_size(plan: SupernetPlan, state: Mapping[str, Tensor]) -> None:
    """Check that the weights which the plan asks for are those of the file, before memory is taken for them.

    Raises:
        ValueError: they are not.
    """
    for name in ("in_channels", "classes", "stem", "stem_stride", "first", "last", "head"):
        if not 1 <= getattr(plan, name) <= LARGEST:
            raise ValueError(f"{name} is {getattr(plan, name)}")
    for stage in plan.stages:
        if not (1 <= stage.out <= LARGEST and 1 <= stage.stride <= LARGEST):
            raise ValueError(f"a stage has {stage.out} channels and the stride {stage.stride}")
    if not all(1 <= side <= LARGEST for size in plan.sizes for side in size):
        raise ValueError(f"its image sizes are {plan.sizes}")
    if max(*plan.kernels, *plan.expansions, *plan.depths, len(plan.stages)) > MOST_CHOICES:
        raise ValueError(f"a kernel, an expansion, a depth or the number of stages is above {MOST_CHOICES}")
    with torch.device("meta"):
        asked = sum(tensor.numel() for tensor in Supernet(plan).state_dict().values())
    found = sum(tensor.numel() for tensor in state.values())
    if asked != found:
        raise ValueError(f"it asks for {asked:,} weights, and the file has {found:,}")
