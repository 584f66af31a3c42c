"""The first layer for images of other channels than its weights were trained on."""

import torch
from torch import nn

from pocketcnn.errors import UsageError


def adapt_input(module: nn.Module, channels: int) -> bool:
    """Change the first convolution of `module` to take images of so many channels. Returns whether that was needed.

    For one channel its weights (N, 3, K, K) are summed: a grey image gives what its RGB copy would. For others they are
    repeated in turn and scaled by 3 / channels, so that sums stay as large.

    Raises:
        UsageError: the first layer with weights is not a convolution of the whole image.
    """
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)), None)
    if not isinstance(first, nn.Conv2d) or first.groups != 1:
        raise UsageError(
            "The first layer of this network is not an ordinary convolution: it takes images as trained only."
        )
    own = first.in_channels
    if own == channels:
        return False
    if getattr(module, "transform_input", False):
        raise UsageError("This network converts the pixels of RGB images itself: it takes images of 3 channels only.")
    weight = first.weight.detach()
    if channels == 1:
        changed = weight.sum(dim=1, keepdim=True)
    else:
        order = torch.arange(channels) % own
        changed = weight[:, order] * (own / channels)
    first.in_channels = channels
    first.weight = nn.Parameter(changed.clone())
    return True
