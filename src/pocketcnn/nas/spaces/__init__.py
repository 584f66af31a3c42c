"""Search spaces by name, and user-defined ones."""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pocketcnn.errors import UsageError
from pocketcnn.models import list_models
from pocketcnn.nas.space import Space, check_decisions
from pocketcnn.nas.spaces.mnasnet import mnasnet, mnasnet_factorized
from pocketcnn.nas.spaces.mobilenet_v3 import mobilenet_v3, mobilenet_v3_large
from pocketcnn.nas.spaces.nasnet import NasnetSpace, nasnet
from pocketcnn.nas.spaces.scaling import PREFIX, ScalingSpace
from pocketcnn.nas.spaces.shufflenet import shufflenet
from pocketcnn.nas.spaces.user import PythonSpace, space_from_toml

SPACES: Mapping[str, Callable[[float], Space]] = MappingProxyType(
    {
        "mobilenet": mobilenet_v3,
        "mobilenet_v3": mobilenet_v3,
        "mobilenet_v3_large": mobilenet_v3_large,
        "mnasnet": mnasnet,
        "mnasnet_factorized": mnasnet_factorized,
        "nasnet": nasnet,
        "shufflenet": shufflenet,
    }
)
"""Each takes a width multiplier; `mobilenet` is an alias of `mobilenet_v3`."""

SUFFIXES = (".toml", ".py")


MAX_WIDTH = 4.0
"""Largest width multiplier of a search space."""


def has_width(text: str) -> bool:
    """Whether the space named `text` takes a width multiplier."""
    return text in SPACES


def load_space(text: str, width: float = 1.0) -> Space:
    """A named space, `scaling:NETWORK` for any network of the zoo, or the space in a .toml or .py file.

    Raises:
        UsageError: there is no such space, or the file does not define one.
    """
    if text in SPACES:
        if not 0 < width <= MAX_WIDTH:
            raise UsageError(f"The width of a search space must be above 0 and at most {MAX_WIDTH:g}, not {width:g}.")
        return SPACES[text](width)
    if text.startswith(PREFIX):
        network = text.removeprefix(PREFIX)
        if network not in list_models():
            near = difflib.get_close_matches(network, list_models(), n=1)
            raise UsageError(f"There is no network {network!r}.{f' Did you mean {near[0]}?' if near else ''}")
        return ScalingSpace(network)
    path = Path(text)
    if path.suffix == ".toml":
        return space_from_toml(path)
    if path.suffix == ".py":
        space = PythonSpace(path)
        check_decisions(space.decisions)  # raises for a mistake in the file
        return space
    near = difflib.get_close_matches(text, SPACES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"There is no search space {text!r}.{hint} There are {', '.join(SPACES)}, {PREFIX}NETWORK, "
        "and your own files (.toml or .py)."
    )


def space_of(reference: Mapping[str, Any], folder: Path) -> Space:
    """Build the space that a `Space.reference` describes.

    Args:
        reference: a name, and its options: the width multiplier, the fields of the space, or its file.
        folder: where a file is searched for if it is not at its path.

    Raises:
        UsageError: there is no such space, or it does not have an option.
    """
    name, options = str(reference["name"]), {key: value for key, value in reference.items() if key != "name"}
    if set(options) == {"file"}:
        path = folder / str(options["file"])
        return load_space(str(path if path.exists() else folder / path.name))
    if name == "nasnet" and set(options) == {"cells", "filters"}:
        return NasnetSpace(_count("cells", options["cells"]), _count("filters", options["filters"]))
    if set(options) - ({"width"} if has_width(name) else set()):
        raise UsageError(f"The search space {name} has no option {', '.join(sorted(options))}.")
    width = options.get("width", 1.0)
    if isinstance(width, bool) or not isinstance(width, int | float):
        raise UsageError(f"The width of a search space must be a number, not {width!r}.")
    return load_space(name, width)


def _count(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{key} of a search space must be a whole number above 0, not {value!r}.")
    return value
