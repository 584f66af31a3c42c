"""Targets and budgets: the device and runtime that a network is made for, and limits on its cost."""

from typing import TYPE_CHECKING, Any

from pocketcnn.targets.budget import Budget as Budget
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

if TYPE_CHECKING:
    from pocketcnn.targets.latency import LatencyTable as LatencyTable
    from pocketcnn.targets.latency import Prediction as Prediction
    from pocketcnn.targets.latency import predict_latency as predict_latency

_IMPORT_TORCH = frozenset({"LatencyTable", "Prediction", "predict_latency"})


def __getattr__(name: str) -> Any:
    if name in _IMPORT_TORCH:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.latency"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
