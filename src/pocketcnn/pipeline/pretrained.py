"""`pretrained`: a network with trained weights, by the name of the weights or from a file."""

from collections.abc import Sequence
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.models.pretrained.source import has_weights
from pocketcnn.pipeline.networks import file_network, is_file, load_network
from pocketcnn.pipeline.published_network import published_network, with_new_classes
from pocketcnn.pipeline.workspace import Say


def source_network(source: str | Path) -> GraphNetwork:
    """The network of a model file, or with the trained weights of that name.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        PocketcnnError: the file is damaged, or the weights are not to be had.
    """
    name = str(source)
    return published_network(name) if has_weights(name) else load_network(Path(source))


def pretrained(
    source: str | Path,
    classes: int | Sequence[str] | None = None,
    *,
    shape: tuple[int, int, int] | None = None,
    seed: int = 0,
    say: Say = no_op,
) -> GraphNetwork:
    """A network with trained weights, ready for fine-tuning.

    Args:
        source: ``imagenet:NAME``, or the name of the zoo alone; ``timm:NAME``, ``timm:NAME.TAG``, ``torchvision:NAME``,
            ``hf:OWNER/NAME``, ``timm:NAME=FILE``; a model file or an ONNX file.
        classes: names or number of the classes: the last layer is then a new one. None keeps it.
        shape: (channels, height, width) of the images; those of the weights if not given. A file determines it.
        seed: draws the new last layer.
        say: called with what was taken and what was converted.

    Raises:
        UsageError: `source` names no network with weights, or `shape` is given for a file.
        MissingExtra: a package or library is not installed.
        PocketcnnError: the weights are neither on this machine nor to be downloaded, or a file is damaged.
    """
    name = str(source)
    if has_weights(name):
        return published_network(name, classes, shape=shape, seed=seed, say=say)
    if not is_file(name):
        return published_network(f"imagenet:{name}", classes, shape=shape, seed=seed, say=say)
    if shape is not None:
        raise UsageError(f"shape: only for networks by name; the file {name} determines it. Leave it out.")
    network = file_network(Path(source))
    return network if classes is None else with_new_classes(network, classes, seed)
