"""ExecuTorch files (.pte), lowered to XNNPACK. Importing this package imports neither ExecuTorch nor torch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketcnn.formats.executorch.writer import portable_operations as portable_operations
    from pocketcnn.formats.executorch.writer import write_executorch as write_executorch

_IMPORT_TORCH = frozenset({"portable_operations", "write_executorch"})


def __getattr__(name: str) -> Any:
    if name in _IMPORT_TORCH:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.writer"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
