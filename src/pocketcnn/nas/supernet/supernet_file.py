"""A trained supernet as a file, from which sub-networks for new budgets can be extracted without training.

The format is `.safetensors` with a JSON header, like model files: loading executes no code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.files import write_bytes
from pocketcnn.nas.supernet.network import Supernet
from pocketcnn.nas.supernet.plan import SupernetPlan

FORMAT = 1
HEADER = "pocketcnn-supernet"


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
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not a supernet file: {error}.") from error
    if header.get("format") != FORMAT:
        raise UsageError(f"{path} was written by a later version of pocketcnn. Install that version to read it.")
    supernet = Supernet(SupernetPlan.from_dict(header["plan"]))
    try:
        supernet.load_state_dict(state)
    except RuntimeError as error:
        raise PocketcnnError(f"The tensors in {path} do not match its plan: {error}") from error
    return StoredSupernet(supernet.eval(), header["notes"])
