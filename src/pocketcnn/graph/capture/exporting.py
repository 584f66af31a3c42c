"""`torch.export` of a module for one image shape, with errors that say where and why a module cannot be exported."""

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
"""Images in the example that is exported: not 1, which broadcasts, and no number of channels or pixels that networks use,
so that an operation that mixes images is noticed."""


class CaptureError(GraphError):
    """The module does something that the IR has no operation for; the message says where."""


def export(module: nn.Module, image: Shape) -> torch.export.ExportedProgram:
    """Export `module`, which must be in eval mode, for a batch of images of shape `image`.

    Raises:
        CaptureError: the module does not run on such images, or cannot be traced.
    """
    parameter = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    example = torch.zeros(BATCH, *image, device=parameter.device, dtype=parameter.dtype)
    try:
        with _quiet():
            return torch.export.export(module, (example,))
    except Exception as error:  # the exporter raises many kinds; all mean that the module cannot be traced
        raise CaptureError(
            f"{type(module).__name__} cannot be captured for images of shape {image}: {_reason(error)}{_place(error)}. "
            "Check that the network runs on such images."
        ) from error


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """`module` is in eval mode; afterwards every part of it is in its own mode again."""
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, training in modes.items():
            child.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's deprecations, logs and dumps are for its developers; what matters is in the exception."""
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
        return "what it does depends on the values of the images, and a graph does the same for all images"
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def _place(error: Exception) -> str:
    """The innermost line of a module of neither torch nor this library, if that is where it happened."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    while (
        frames
        and frames[-1].filename.startswith(sysconfig.get_path("stdlib"))
        and "site-packages" not in frames[-1].filename
    ):
        frames.pop()
    return f", at {frames[-1].filename}:{frames[-1].lineno} `{frames[-1].line}`" if frames else ""
