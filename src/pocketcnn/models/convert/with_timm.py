"""Networks of timm, of any width, classes and input channels, and back."""

import importlib
from types import ModuleType

import torch
from torch import nn

from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.vision import require_torchvision

from .matching import converted, translated_state, weighted_layers
from .timm_networks import READERS


def from_timm(module: nn.Module) -> ImageClassifier:
    """The same network from the zoo, with the weights, batch norm constants, mode, device and dtype of `module`.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: not a timm network that the zoo has, or one whose layers were changed.
        PocketcnnError: one that was changed between its layers: the outputs of both are compared.
    """
    network = converted(module, _timm().models, READERS)
    if network is not None:
        return network
    raise UsageError(
        f"from_timm takes networks of timm's classes {', '.join(READERS)}, not {type(module).__name__}. "
        "`pocketcnn.capture` takes any network."
    )


def to_timm(network: nn.Module, like: str | nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of `network` for its timm counterpart, with equal outputs in eval.

    Args:
        network: one of the zoo, or a graph network captured from one.
        like: the counterpart, or its name in timm, such as ``"mobilenetv2_050"``.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: an unknown name, or the two networks differ in a layer.
    """
    return translated_state(network, like if isinstance(like, nn.Module) else _counterpart(like, network))


def _timm() -> ModuleType:
    require_torchvision()  # timm imports it, and that import may need help
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingExtra("Converting from and to timm", "peers") from error
    return timm


def _counterpart(name: str, network: nn.Module) -> nn.Module:
    timm = _timm()
    if not timm.is_model(name):
        raise UsageError(f"timm has no network '{name}'.")
    layers = [layer for _, layer in weighted_layers(network)]
    with torch.device("meta"):  # only its names and shapes are needed
        counterpart: nn.Module = timm.create_model(
            name, num_classes=layers[-1].weight.shape[0], in_chans=layers[0].weight.shape[1]
        )
    return counterpart
