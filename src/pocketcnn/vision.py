"""The one place that imports torchvision.

A CPU-only torch build lacks torchvision's native library, and torchvision then fails at import because two of its
operators have no schema. Declaring the schemas is enough for everything used here (transforms, model definitions);
the operators themselves are never called.
"""

import importlib
from types import ModuleType

import torch


def require_torchvision(submodule: str = "") -> ModuleType:
    """Import torchvision, or one of its sub-modules such as ``"transforms.v2"``, also beside a CPU-only torch."""
    name = f"torchvision.{submodule}" if submodule else "torchvision"
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module(name)
