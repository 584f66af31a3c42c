"""Initial weights as the papers and their reference code draw them. Biases start at zero unless it says otherwise."""

import math
from collections.abc import Iterator

import torch
from torch import nn


def truncated_normal_weights(network: nn.Module, std: float) -> None:
    """Draw every convolution's and linear layer's weights from N(0, std²) cut at ±2 std, and set biases to zero.

    TensorFlow-Slim's MobileNets use std = 0.09 throughout (`mobilenet_v1_arg_scope`, `training_scope`).
    """
    for layer in _weighted(network):
        _truncated_normal(layer.weight, std)


def fan_out_normal_weights(network: nn.Module) -> None:
    """Convolutions from N(0, 2 / fan out), linear layers uniformly from ±1 / √outputs: MnasNet and EfficientNet.

    The fan out is K² · N / G. (`conv_kernel_initializer` and `dense_kernel_initializer` of mnasnet_model.py, tensorflow/tpu.)
    """
    for layer in _weighted(network):
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / _fan_out(layer)))
        else:
            bound = 1 / math.sqrt(layer.out_features)
            nn.init.uniform_(layer.weight, -bound, bound)


def fan_out_truncated_weights(network: nn.Module) -> None:
    """From N(0, 2.6 / fan out) cut at ±2 deviations, which leaves a variance of about 2 / fan out: NASNet.

    (`variance_scaling_initializer(mode="FAN_OUT")` of TensorFlow's contrib layers, with its factor of 1.3.)
    """
    for layer in _weighted(network):
        fan_out = _fan_out(layer) if isinstance(layer, nn.Conv2d) else layer.out_features
        _truncated_normal(layer.weight, math.sqrt(2.6 / fan_out))


def normal_weights(network: nn.Module, std: float) -> None:
    """Every convolution's and linear layer's weights from N(0, std²): AlexNet, section 5."""
    for layer in _weighted(network):
        nn.init.normal_(layer.weight, std=std)


def glorot_uniform_weights(network: nn.Module) -> None:
    """Uniformly with a variance of 2 / (fan in + fan out).

    "Understanding the difficulty of training deep feedforward neural networks" (Glorot and Bengio, 2010), equation 16.
    """
    for layer in _weighted(network):
        nn.init.xavier_uniform_(layer.weight)


def he_normal_weights(network: nn.Module) -> None:
    """Convolutions from N(0, 2 / (K² · N)), whatever the groups; linear layers keep torch's draw, ±1 / √inputs.

    "Delving Deep into Rectifiers" (He et al., 2015), section 2.2, for the backward pass, as in the code of ResNet and
    CondenseNet.
    """
    for layer in _weighted(network):
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (_fan_out(layer) * layer.groups)))


def uniform_fan_in_weights(network: nn.Module) -> None:
    """Uniformly with a variance of 1 / fan in, the fan in being K² · M / G: the "xavier" filler of Caffe."""
    for layer in _weighted(network):
        bound = math.sqrt(3 / layer.weight[0].numel())
        nn.init.uniform_(layer.weight, -bound, bound)


def shufflenet_weights(network: nn.Module, first: nn.Module) -> None:
    """ShuffleNetV1's and V2's: N(0, 1 / M²) for a convolution that reads M channels a group, N(0, 0.01²) for linear layers
    and the convolution in `first`, and 0.0001 for the offsets of batch norm (network.py of megvii-model/ShuffleNet-Series).
    """
    early = set(first.modules())
    for layer in _weighted(network):
        small = layer in early or isinstance(layer, nn.Linear)
        nn.init.normal_(layer.weight, std=0.01 if small else 1 / layer.weight.shape[1])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.0001)


def _weighted(network: nn.Module) -> Iterator[nn.Conv2d | nn.Linear]:
    """Convolutions and linear layers, with their biases set to zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            yield module


def _fan_out(conv: nn.Conv2d) -> int:
    return math.prod(conv.kernel_size) * conv.out_channels // conv.groups


def _truncated_normal(weight: torch.Tensor, std: float) -> None:
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
