"""Squeeze-and-excite: channel weights computed from the global mean of the feature map."""

import torch
from torch import nn

from .conv_norm_act import activation as make_activation


class SqueezeExcite(nn.Module):
    """x · gate(expand(relu(reduce(mean of x over H and W)))), one weight per image and channel.

    (N, channels, H, W) -> the same shape. `hidden` is the width between the two 1 × 1 convolutions (both with bias).
    MAdds: 2 · channels · hidden, whatever H and W.

    Paper: "Squeeze-and-Excitation Networks", section 3 (gate = sigmoid); "Searching for MobileNetV3", section 5.3,
    takes hard-sigmoid and hidden = a quarter of the expanded width.
    """

    def __init__(self, channels: int, hidden: int, *, gate: str = "sigmoid") -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = make_activation(gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights: torch.Tensor = self.gate(self.expand(self.act(self.reduce(self.pool(x)))))  # (N, channels, 1, 1)
        return x * weights
