"""Checks whether a target supports a network in the precision in which it would be deployed there."""

from collections.abc import Sequence

from torch import nn

from pocketcnn.compression.deployed import artefact_bytes, first_precision, in_precision
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.check import Check, check


def check_target(network: nn.Module | Graph, target: str | Target, input_shape: Sequence[int] | None = None) -> Check:
    """Check `network` on `target`: unsupported layers and their cost on the fallback, RAM, and storage.

    A float network is checked in the most precise numerics of the target. For int8, arbitrary ranges are used, because they
    do not affect the result. The size is that of the ONNX file.

    Args:
        network: a `GraphNetwork` or `Graph`, or any module, which is captured first.
        target: its name, its .toml file, or a `Target`.
        input_shape: (N, C, H, W) of the images, for a module.

    Raises:
        UsageError: there is no such target, or a module was given without an input shape.
        CaptureError: the module cannot be captured.
    """
    device = target if isinstance(target, Target) else load_target(target)
    deployed = in_precision(_graph(network, input_shape), first_precision(device))
    return check(deployed, device, size=len(artefact_bytes(deployed)))


def _graph(network: nn.Module | Graph, input_shape: Sequence[int] | None) -> Graph:
    if isinstance(network, Graph):
        return network
    if isinstance(network, GraphNetwork):
        return network.graph
    if input_shape is None:
        raise UsageError(
            f"To check a {type(network).__name__}, give its input shape: check_target(network, target, (1, C, H, W))."
        )
    return capture(network, tuple(input_shape))
