"""`trained_module`: the network that a name of the grammar means, with its weights."""

from .from_timm_weights import hugging_face_weights, timm_weights
from .from_torchvision_weights import torchvision_weights
from .namesakes import zoo_weights
from .source import parse_source
from .weights import TrainedModule


def trained_module(text: str) -> TrainedModule:
    """The network and the weights that `text` names, see `source`.

    Raises:
        UsageError: it names none, or a file holds other weights.
        MissingExtra: a library or package is not installed.
        NoWeights: the weights are neither on this machine nor to be downloaded.
    """
    source = parse_source(text)
    if source.library == "imagenet":
        return zoo_weights(source.name)
    loaders = {"timm": timm_weights, "torchvision": torchvision_weights, "hf": hugging_face_weights}
    return loaders[source.library](source)
