"""Files of weights: tensors by name, read without executing anything from the file."""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pocketcnn.errors import UsageError

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Entries of a training's checkpoint that hold the weights, the best first."""

PREFIX = "module."
"""What a network that was trained on several devices puts before its names."""


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name.

    Raises:
        UsageError: the file is damaged, or holds something else than tensors by name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles of other protocols, which it reads or refuses
            found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as a file of weights: {_first_line(error)}.") from error
    except Exception as error:  # torch.load raises UnpicklingError for pickled code, and others for what is no pickle
        if type(error).__module__ not in ("pickle", "_pickle"):
            raise
        raise UsageError(
            f"{path} holds more than tensors, and is not read, because that would execute code from the file. Save the weights "
            "alone: torch.save(network.state_dict(), FILE)."
        ) from error
    for name in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UsageError(f"{path} does not hold tensors by name. Save them so: torch.save(network.state_dict(), FILE).")
    return {name.removeprefix(PREFIX): value for name, value in found.items()}


def load_into(module: torch.nn.Module, state: Mapping[str, torch.Tensor], what: str) -> None:
    """Load `state` into `module`, every tensor of it; `what` names both in the message.

    Raises:
        UsageError: names or shapes differ.
    """
    complete = module.state_dict()
    complete.update(state)  # keeps the versions of the modules, which a file of tensors alone has not
    absent = [name for name in module.state_dict() if name not in state and not name.endswith("num_batches_tracked")]
    if absent:
        raise UsageError(f"{what}: {len(absent)} tensors are absent, such as {absent[0]}.")
    try:
        module.load_state_dict(complete)
    except RuntimeError as error:
        raise UsageError(f"{what}: {_first_line(error, 1)}.") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception, number: int = 0) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[min(number, len(lines) - 1)].rstrip(".")
