"""Initial weights as the papers' reference code draws them."""

from torch import nn


def truncated_normal_weights(network: nn.Module, std: float) -> None:
    """Draw every convolution's and linear layer's weights from N(0, std²) cut at ±2 std, and set biases to zero.

    TensorFlow-Slim's MobileNets use std = 0.09 throughout (`mobilenet_v1_arg_scope`, `training_scope`).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
