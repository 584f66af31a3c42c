"""What a target makes of a network in the form in which it would be deployed there."""

from collections.abc import Sequence

from torch import nn

from pocketcnn.compression.deployed import artefact_bytes, first_precision, in_precision
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.check import Check, check


def check_target(network: nn.Module | Graph, target: str | Target, input_shape: Sequence[int] | None = None) -> Check:
    """What `target` makes of `network`: the layers that fall back, what that costs, whether RAM and storage suffice.

    A float network is looked at in the most exact numerics that the target runs, with made-up ranges where that is int8:
    no range changes what is asked here. Its size is that of its ONNX file.

    Args:
        network: a `GraphNetwork` or `Graph`, or any module, which is captured first.
        target: its name, its .toml file, or a `Target`.
        input_shape: (N, C, H, W) of the images, for a module.

    Raises:
        UsageError: there is no such target, or a module came without an input shape.
        CaptureError: the module cannot be captured.
    """
    wanted = target if isinstance(target, Target) else load_target(target)
    deployed = in_precision(_graph(network, input_shape), first_precision(wanted))
    return check(deployed, wanted, size=len(artefact_bytes(deployed)))


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
