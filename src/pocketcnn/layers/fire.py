"""The Fire module of SqueezeNet."""

import torch
from torch import nn

from .padding import conv2d


class Fire(nn.Module):
    """Squeeze the channels by a pointwise convolution, expand them by a pointwise and a 3 × 3 one side by side.

    (N, in_channels, H, W) -> (N, 2 · expand, H, W): the first half comes from the pointwise convolution. All three
    have a bias and a ReLU, none a normalisation.

    MAdds with S = squeeze, E = expand: H·W·(M·S + S·E + 9·S·E).
    Paper: "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", section 3.2, Figure 1.
    """

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = conv2d(in_channels, squeeze, 1, bias=True)
        self.squeeze_act = nn.ReLU()
        self.expand1x1 = conv2d(squeeze, expand, 1, bias=True)
        self.expand3x3 = conv2d(squeeze, expand, 3, bias=True)
        self.expand_act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = self.squeeze_act(self.squeeze(x))
        expanded: torch.Tensor = self.expand_act(torch.cat((self.expand1x1(squeezed), self.expand3x3(squeezed)), dim=1))
        return expanded
