"""Import of torchvision, also with a CPU-only build of torch.

Without torchvision's native library, its import fails because two operators have no schema. Declaring the two schemas is
enough for what is used here (transforms and model definitions): the operators are never called.
"""

import importlib
from types import ModuleType

import torch


def require_torchvision(submodule: str = "") -> ModuleType:
    """Import torchvision, or a sub-module such as ``"transforms.v2"``; works with a CPU-only torch too."""
    name = f"torchvision.{submodule}" if submodule else "torchvision"
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module(name)
