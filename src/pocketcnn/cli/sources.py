"""Opens the network of a command-line argument: a file, or a name with input, width and classes."""

from typing import TYPE_CHECKING

from pocketcnn.cli.shapes import parse_input
from pocketcnn.models.pretrained.source import demands_weights
from pocketcnn.pipeline.networks import CLASSES, is_architecture_file, is_file

if TYPE_CHECKING:
    from pocketcnn.graph import GraphNetwork


def network_from(source: str, input_text: str, width: float, classes: int) -> "GraphNetwork":
    """The network in the file, or the network of that name. The other options are for names only, see `option_rules`."""
    from pocketcnn.pipeline.networks import open_network

    if is_architecture_file(source):
        return open_network(source, parse_input(input_text), width=None if width == 1 else width, classes=classes)
    if demands_weights(source):
        return open_network(
            source, parse_input(input_text), width=width, classes=None if classes == CLASSES else classes
        )
    if is_file(source):
        return open_network(source)
    return open_network(source, parse_input(input_text), width=width, classes=classes)
