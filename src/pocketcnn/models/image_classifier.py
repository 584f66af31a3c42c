"""The shape that all networks of the zoo share: features, mean over the map, classifier."""

import torch
from torch import nn


class ImageClassifier(nn.Module):
    """`classifier(mean over H and W of features(x))`: (N, in_channels, H, W) -> (N, classes) logits.

    For transfer learning keep `features`, (N, in_channels, H, W) -> (N, F, h, w), and replace `classifier`, (N, F) ->
    (N, classes), or only its last layer by `reset_classifier`.
    """

    def __init__(self, features: nn.Module, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(torch.flatten(self.pool(self.features(x)), 1))
        return logits

    def reset_classifier(self, classes: int) -> None:
        """Replace the last linear layer by a fresh one for `classes` classes; everything else keeps its weights."""
        last = self.classifier[-1]
        if not isinstance(last, nn.Linear):
            raise TypeError(f"The classifier ends with {type(last).__name__}, not with a Linear layer.")
        fresh = nn.Linear(last.in_features, classes, device=last.weight.device, dtype=last.weight.dtype)
        nn.init.normal_(fresh.weight, std=0.01)
        nn.init.zeros_(fresh.bias)
        self.classifier[-1] = fresh.train(last.training)
