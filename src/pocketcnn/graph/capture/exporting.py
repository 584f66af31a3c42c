"""`torch.export` of a module for one image shape, with errors that name the place and the reason."""

import logging
import sysconfig
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path

import torch
from torch import nn

from pocketcnn.graph.node import Shape
from pocketcnn.graph.ops import GraphError

BATCH = 13
"""Batch size of the example. It is not 1, which broadcasts, and no usual number of channels or pixels, so that an operation
that mixes the images of a batch is detected by its shape."""


class CaptureError(GraphError):
    """The module cannot be captured as a graph; the message names the module, the source line and the operator."""


def export(module: nn.Module, image: Shape) -> torch.export.ExportedProgram:
    """Export `module`, which must be in eval mode, for a batch of images of shape `image`.

    Raises:
        CaptureError: the module does not run on images of this shape, or cannot be traced.
    """
    parameter = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    example = torch.zeros(BATCH, *image, device=parameter.device, dtype=parameter.dtype)
    try:
        with _quiet():
            return torch.export.export(module, (example,))
    except Exception as error:  # the exporter raises many types; all mean that the module cannot be traced
        raise CaptureError(
            f"{type(module).__name__} cannot be captured for images of shape {image}: {_reason(error)}{_place(error)}. "
            "Check that the network runs on images of this shape."
        ) from error


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """Put `module` in eval mode within the context, and restore the mode of every sub-module afterwards."""
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, training in modes.items():
            child.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings, logs and dumps: the exception has the information for users."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if "data-dependent" in text:
        return "its control flow depends on the values of the images, while a graph computes the same operations for all images"
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def _place(error: Exception) -> str:
    """The innermost source line outside torch and this library, if there is one."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    while (
        frames
        and frames[-1].filename.startswith(sysconfig.get_path("stdlib"))
        and "site-packages" not in frames[-1].filename
    ):
        frames.pop()
    return f", at {frames[-1].filename}:{frames[-1].lineno} `{frames[-1].line}`" if frames else ""
