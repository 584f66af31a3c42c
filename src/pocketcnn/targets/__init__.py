"""Targets and budgets: the device and runtime that a network is made for, and limits on its cost.

Importing this package imports nothing else: `--help` reads the table of quantities, and must not load NumPy for that.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketcnn.targets.budget import Budget as Budget
    from pocketcnn.targets.latency import LatencyTable as LatencyTable
    from pocketcnn.targets.latency import Prediction as Prediction
    from pocketcnn.targets.latency import predict_latency as predict_latency
    from pocketcnn.targets.limits import Limit as Limit
    from pocketcnn.targets.measuring import latency_figure as latency_figure
    from pocketcnn.targets.measuring import measure as measure
    from pocketcnn.targets.quantities import Quantity as Quantity
    from pocketcnn.targets.quantities import format_quantity as format_quantity
    from pocketcnn.targets.target import Target as Target
    from pocketcnn.targets.target import list_targets as list_targets
    from pocketcnn.targets.target import load_target as load_target
    from pocketcnn.targets.verdict import Figure as Figure
    from pocketcnn.targets.verdict import Verdict as Verdict
    from pocketcnn.targets.verdict import closest_miss as closest_miss

_DEFINED_IN = MappingProxyType(
    {
        "Budget": "pocketcnn.targets.budget",
        "LatencyTable": "pocketcnn.targets.latency",
        "Prediction": "pocketcnn.targets.latency",
        "predict_latency": "pocketcnn.targets.latency",
        "Limit": "pocketcnn.targets.limits",
        "latency_figure": "pocketcnn.targets.measuring",
        "measure": "pocketcnn.targets.measuring",
        "Quantity": "pocketcnn.targets.quantities",
        "format_quantity": "pocketcnn.targets.quantities",
        "Target": "pocketcnn.targets.target",
        "list_targets": "pocketcnn.targets.target",
        "load_target": "pocketcnn.targets.target",
        "Figure": "pocketcnn.targets.verdict",
        "Verdict": "pocketcnn.targets.verdict",
        "closest_miss": "pocketcnn.targets.verdict",
    }
)


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        return getattr(import_module(_DEFINED_IN[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
