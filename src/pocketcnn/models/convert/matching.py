"""Conversion between two implementations of a network, whose layers with weights have the same order.

Every pair of layers is checked (type, shape, stride, padding, groups). Finally both networks run on the same images, so that
an inexact conversion is rejected.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import torch
from torch import nn

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.models.image_classifier import ImageClassifier

Norm = nn.BatchNorm1d | nn.BatchNorm2d
Weighted = nn.Conv2d | nn.Linear | Norm


def weighted_layers(network: nn.Module) -> list[tuple[str, Weighted]]:
    """The named layers that hold weights, in the order in which they were defined."""
    return [(name, module) for name, module in network.named_modules() if isinstance(module, Weighted)]


def matched_layers(source: nn.Module, target: nn.Module) -> Iterator[tuple[Weighted, str, Weighted]]:
    """(layer of source, name in target, layer of target) for every layer with weights, in order.

    Raises:
        UsageError: the networks differ; the message names the first layers that do.
    """
    sources, targets = weighted_layers(source), weighted_layers(target)
    for (name, layer), (other_name, other) in zip(sources, targets, strict=False):
        if not _same_layer(layer, other):
            raise UsageError(
                f"The networks differ: '{name}' is {_describe(layer)}, but its counterpart '{other_name}' is "
                f"{_describe(other)}."
            )
        yield layer, other_name, other
    if len(sources) != len(targets):
        raise UsageError(f"The networks differ: {len(sources)} and {len(targets)} layers with weights.")


def translated_state(source: nn.Module, target: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of `source` under the names and in the shapes of `target`, so that both compute the same in eval.

    A state dict does not carry the eps of batch norm. Where the two differ the running variance takes up the
    difference, because only the sum of both counts in eval. The versions of the target's modules come along, as some
    (torchvision's MNASNet) refuse a state dict without.

    Raises:
        UsageError: the networks differ.
    """
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    state._metadata = getattr(target.state_dict(), "_metadata", None)  # type: ignore[attr-defined]
    for layer, name, other in matched_layers(source, target):
        values = dict(layer.state_dict())
        if isinstance(layer, Norm) and isinstance(other, Norm) and layer.eps != other.eps:
            values["running_var"] = values["running_var"] + (layer.eps - other.eps)
        for key, like in other.state_dict().items():
            state[f"{name}.{key}"] = values[key].detach().reshape(like.shape).clone()
    unmatched = sorted(target.state_dict().keys() - state.keys())
    if unmatched:
        raise UsageError(f"The networks differ: nothing corresponds to the weights '{unmatched[0]}'.")
    return state


def state_by_order(state: Mapping[str, torch.Tensor], target: nn.Module) -> dict[str, torch.Tensor]:
    """Map a state dict of another implementation, whose code is not available, to `target` by the order of its tensors.

    Shapes and the number of tensors are checked. Outputs cannot be compared: check the accuracy on known images.

    Raises:
        UsageError: the networks differ; the message names the first tensors that do.
    """
    values = [(key, value) for key, value in state.items() if not key.endswith("num_batches_tracked")]
    targets = {key: like for key, like in target.state_dict().items() if not key.endswith("num_batches_tracked")}
    if len(values) != len(targets):
        raise UsageError(f"The networks differ: {len(values)} and {len(targets)} tensors.")
    for (key, value), (target_key, like) in zip(values, targets.items(), strict=True):
        if value.shape != like.shape:
            raise UsageError(
                f"The networks differ: '{key}' has shape {tuple(value.shape)}, but its counterpart '{target_key}' has shape "
                f"{tuple(like.shape)}."
            )
    moved = {target_key: value.detach().clone() for target_key, (_, value) in zip(targets, values, strict=True)}
    return {**target.state_dict(), **moved}


def adopt(network: nn.Module, source: nn.Module) -> None:
    """Copy weights, batch norm constants, mode, device and dtype of `source` to `network`, and compare their outputs.

    Raises:
        UsageError: the networks differ.
        PocketcnnError: all layers match, yet the outputs do not: something between the layers differs.
    """
    for layer, _, other in matched_layers(source, network):
        if isinstance(layer, Norm) and isinstance(other, Norm):
            other.eps, other.momentum = layer.eps, layer.momentum
    weight = next(source.parameters())
    network.to(weight.device, weight.dtype).train(source.training)
    network.load_state_dict(translated_state(source, network))
    difference = _relative_difference(network, source)
    if not difference <= 1e-6:
        raise PocketcnnError(
            f"The converted network computes other outputs than the original (relative difference {difference:.1e}): "
            "the original was changed between its layers. Only the published network can be converted."
        )


def converted(
    module: nn.Module, library: ModuleType, readers: Mapping[str, Callable[[nn.Module], ImageClassifier]]
) -> ImageClassifier | None:
    """`module` read by the reader of its class, a class of `library`, and proven equal; None if no reader knows it.

    Raises:
        UsageError, PocketcnnError: as `adopt`, and as the readers do.
    """
    for kind, read in readers.items():
        if isinstance(module, getattr(library, kind)):
            network = read(module)
            adopt(network, module)
            return network
    return None


def _relative_difference(network: nn.Module, source: nn.Module) -> float:
    """Largest difference relative to the largest output, in double precision: of two equal networks about 1e-15."""
    channels = next(conv.in_channels for _, conv in weighted_layers(source) if isinstance(conv, nn.Conv2d))
    images = torch.randn(2, channels, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, expected = (copy.deepcopy(m).to("cpu", torch.float64).eval()(images) for m in (network, source))
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def _same_layer(layer: Weighted, other: Weighted) -> bool:
    if isinstance(layer, nn.Linear) and isinstance(other, nn.Conv2d):
        return _same_layer(other, layer)
    if isinstance(layer, nn.Conv2d) and isinstance(other, nn.Linear):
        plain = (layer.stride, layer.padding, layer.groups) == ((1, 1), (0, 0), 1)
        same_size = layer.weight[0].numel() == other.in_features and layer.out_channels == other.out_features
        return plain and same_size and (layer.bias is None) == (other.bias is None)
    return _signature(layer) == _signature(other)


def _signature(layer: Weighted) -> tuple[object, ...]:
    """What must be equal on both sides of one kind; a linear layer may also be a convolution as large as its map."""
    if isinstance(layer, Norm):  # of one value a channel, or of a map of 1 x 1
        return "norm", layer.num_features, layer.affine
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return "linear", layer.in_features, layer.out_features, bias
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    return "convolution", layer.in_channels, layer.out_channels, *shape, bias


def _describe(layer: Weighted) -> str:
    return f"{type(layer).__name__}({layer.extra_repr()})"
