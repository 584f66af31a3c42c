"""The model zoo, one file per paper. Importing this package does not import torch; building a network does."""

from typing import TYPE_CHECKING, Any

from .registry import create as create
from .registry import list_models as list_models
from .registry import network_options as network_options
from .registry import register as register
from .registry import training_options as training_options

if TYPE_CHECKING:
    from .convert import from_timm as from_timm
    from .convert import from_torchvision as from_torchvision
    from .convert import state_by_order as state_by_order
    from .convert import to_timm as to_timm
    from .convert import to_torchvision as to_torchvision

_CONVERSIONS = ("from_timm", "from_torchvision", "state_by_order", "to_timm", "to_torchvision")


def __getattr__(name: str) -> Any:
    if name in _CONVERSIONS:
        from . import convert  # imports torch, therefore only when asked for

        return getattr(convert, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
