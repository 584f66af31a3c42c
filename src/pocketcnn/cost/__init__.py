"""Cost of a network: multiply-adds, parameters, weight bytes, activation memory. Importing this package is cheap."""

from typing import TYPE_CHECKING, Any

from .cost import DEFINITIONS as DEFINITIONS
from .cost import Cost as Cost
from .cost import LayerCost as LayerCost
from .roofline import LayerBound as LayerBound
from .roofline import Roofline as Roofline
from .roofline import roofline as roofline

if TYPE_CHECKING:
    from .counting import count as count
    from .fusion import fused_layers as fused_layers
    from .liveness import live_bytes as live_bytes
    from .patches import PatchPlan as PatchPlan
    from .patches import best_of as best_of
    from .patches import patch_plans as patch_plans

_IMPORT_TORCH = {
    "count": "counting",
    "fused_layers": "fusion",
    "live_bytes": "liveness",
    **dict.fromkeys(("PatchPlan", "best_of", "patch_plans"), "patches"),
}


def __getattr__(name: str) -> Any:
    if name in _IMPORT_TORCH:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_IMPORT_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
