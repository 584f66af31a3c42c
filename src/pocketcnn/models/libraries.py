"""Networks of other libraries by name: ``timm:mobilenetv3_small_100``, ``torchvision:resnet18``; with fresh weights.

`pretrained` has their trained weights.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Literal

from pocketcnn.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from torch import nn


def is_library_name(text: str) -> bool:
    """Whether `text` names a network of another library: ``LIBRARY:NAME``."""
    return text.partition(":")[0] in LIBRARIES and ":" in text


def channels_of(text: str) -> Literal[3] | None:
    """The input channels that every network of that library has; None where any number will do."""
    return 3 if text.partition(":")[0] == "torchvision" else None


def library_module(text: str, channels: int, classes: int) -> "nn.Module":
    """The network that ``LIBRARY:NAME`` means, with fresh weights.

    Raises:
        MissingExtra: the library is not installed.
        UsageError: it has no such network (the nearest names are given), or not for so many input channels.
    """
    library, _, name = text.partition(":")
    return LIBRARIES[library](name, channels, classes)


def known_timm(name: str | None) -> ModuleType:
    """timm, which must have a network of that name (a tag after a dot does not matter); None asks for timm alone.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: it has no such network (the nearest names are given).
    """
    from pocketcnn.vision import require_torchvision

    require_torchvision()  # timm imports it, and that import may need help
    timm = _imported("timm")
    if name is not None and not timm.is_model(name):
        raise _unknown("timm", name.partition(".")[0], timm.list_models())
    return timm


def known_torchvision(name: str) -> ModuleType:
    """torchvision's models, which must have one of that name.

    Raises:
        UsageError: they have not (the nearest names are given).
    """
    from pocketcnn.vision import require_torchvision

    models = require_torchvision("models")
    names = models.list_models(module=models)
    if name not in names:
        raise _unknown("torchvision", name, names)
    return models


def _timm(name: str, channels: int, classes: int) -> "nn.Module":
    timm = known_timm(name)
    network: nn.Module = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=classes)
    return network


def _torchvision(name: str, channels: int, classes: int) -> "nn.Module":
    models = known_torchvision(name)
    if channels != 3:
        raise UsageError(f"Networks of torchvision take images of 3 channels, not {channels}: write --input 3x…x….")
    builder = models.get_model_builder(name)
    drawn = {"init_weights": True} if "init_weights" in inspect.signature(_network_of(builder)).parameters else {}
    network: nn.Module = builder(weights=None, num_classes=classes, **drawn)
    return network


def _network_of(builder: Callable[..., "nn.Module"]) -> Callable[..., "nn.Module"]:
    """The class that a builder of torchvision returns, whose options it passes on; or the builder itself."""
    returned = inspect.signature(builder).return_annotation
    return returned if callable(returned) else builder


LIBRARIES: Mapping[str, Callable[[str, int, int], "nn.Module"]] = MappingProxyType(
    {"timm": _timm, "torchvision": _torchvision}
)


def _imported(library: str) -> ModuleType:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"A network of {library}", "peers") from error


def _unknown(library: str, name: str, names: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(f'{library}:{other}' for other in near)}?" if near else ""
    return UsageError(f"{library} has no network {name!r}.{hint}")
