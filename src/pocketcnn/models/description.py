"""A network of the zoo as data: its paper, its options, and its cost, counted without building its weights."""

import importlib
import inspect
import re
from typing import Any

from pocketcnn.errors import UsageError

from .registry import CATALOG, create, network_options

_SHARED = ("width", "classes", "in_channels")
_PAPER = re.compile(r'"(?P<title>[^"]+)"\s*\((?P<source>[^)]+)\)')


def describe_model(
    name: str, shape: tuple[int, int, int] = (3, 224, 224), *, width: float = 1.0, classes: int = 1000
) -> dict[str, Any]:
    """One network of the zoo.

    Args:
        name: one of `list_models()`.
        shape: (channels, height, width) of the image that the cost is of.
        width: width multiplier.
        classes: outputs of the classifier.

    Returns:
        ``name``; ``paper``, its title, authors and year; ``options``, its own with their defaults; ``width``, ``classes`` and
        ``input`` as given; ``params``; and ``madds``, multiply-adds for one image.

    Raises:
        UsageError: an unknown name, a value out of range, or the network does not take images of that shape.
    """
    options = network_options(name)
    params, madds = cost_of(name, shape, width=width, classes=classes)
    return {
        "name": name,
        "paper": paper_of(name),
        "options": {option: default for option, default in options.items() if option not in _SHARED},
        "width": width,
        "classes": classes,
        "input": shape,
        "params": params,
        "madds": madds,
    }


def cost_of(name: str, shape: tuple[int, int, int], *, width: float, classes: int) -> tuple[int, int]:
    """Parameters and multiply-adds.

    Raises:
        UsageError: the network does not take images of that shape.
    """
    from .counting import build_without_data, count_without_data  # imports torch

    network = build_without_data(lambda: create(name, width=width, classes=classes, in_channels=shape[0]))
    try:
        return count_without_data(network, shape)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{name} does not take images of {'x'.join(map(str, shape))}: {reason}") from error


def paper_of(name: str) -> str:
    """Title, authors and year of the paper that the network's file begins with; empty where it names none."""
    for file, names in CATALOG.items():
        if name in names:
            module = importlib.import_module(f"{__package__}.{file}")
            found = _PAPER.search(" ".join((inspect.getdoc(module) or "").split()))
            return f"{found['title']} ({found['source']})" if found else ""
    return ""


def has_width(name: str) -> bool:
    """Whether the network has a width multiplier."""
    return "width" in network_options(name)
