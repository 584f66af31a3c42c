"""Networks of torchvision, of any width, classes and input channels, and back."""

import torch
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.vision import require_torchvision

from .matching import converted, translated_state, weighted_layers
from .torchvision_networks import READERS


def from_torchvision(module: nn.Module) -> ImageClassifier:
    """The same network from the zoo, with the weights, batch norm constants, mode, device and dtype of `module`.

    Raises:
        UsageError: not a torchvision network that the zoo has, or one whose layers were changed.
        PocketcnnError: one that was changed between its layers: the outputs of both are compared.
    """
    network = converted(module, require_torchvision("models"), READERS)
    if network is not None:
        return network
    raise UsageError(
        f"from_torchvision takes torchvision's {', '.join(READERS)}, not {type(module).__name__}. "
        "`pocketcnn.capture` takes any network."
    )


def to_torchvision(network: nn.Module, like: str | nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of `network` for its torchvision counterpart, with equal outputs in eval.

    Args:
        network: one of the zoo, or a graph network captured from one.
        like: the counterpart, or its name in torchvision (width 1, 3 input channels).

    Raises:
        UsageError: an unknown name, or the two networks differ in a layer.
    """
    return translated_state(network, like if isinstance(like, nn.Module) else _counterpart(like, network))


def _counterpart(name: str, network: nn.Module) -> nn.Module:
    models = require_torchvision("models")
    if name not in models.list_models(models):
        raise UsageError(f"torchvision has no classification network '{name}'.")
    classes = weighted_layers(network)[-1][1].weight.shape[0]
    with torch.device("meta"):  # only its names and shapes are needed
        counterpart: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return counterpart
