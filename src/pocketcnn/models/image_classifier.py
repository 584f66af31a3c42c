"""The structure of all networks of the zoo: features, global average pooling, classifier."""

import torch
from torch import nn


class ImageClassifier(nn.Module):
    """`classifier(mean over H and W of features(x))`: (N, in_channels, H, W) -> (N, classes) logits.

    `pooled` is the side of the map that the means make, 1 but for the first networks, whose classifiers take a map.
    For transfer learning keep `features`, (N, in_channels, H, W) -> (N, F, h, w), and replace `classifier`, (N, F) ->
    (N, classes), or only its last layer by `reset_classifier`.
    """

    def __init__(self, features: nn.Module, classifier: nn.Sequential, *, pooled: int = 1) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(pooled)
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(torch.flatten(self.pool(self.features(x)), 1))
        return logits

    def reset_classifier(self, classes: int) -> None:
        """Replace the last linear layer by a fresh one for `classes` classes; everything else keeps its weights."""
        reset_last_layer(self.classifier, len(self.classifier) - 1, classes)


def reset_last_layer(classifier: nn.Sequential, index: int, classes: int) -> None:
    """Put a fresh linear layer or pointwise convolution for `classes` classes at a place of a classifier.

    Raises:
        TypeError: another kind of layer is there.
    """
    last = classifier[index]
    fresh: nn.Linear | nn.Conv2d
    if isinstance(last, nn.Linear):
        fresh = nn.Linear(last.in_features, classes)
    elif isinstance(last, nn.Conv2d):
        fresh = nn.Conv2d(last.in_channels, classes, 1, padding=last.padding)  # type: ignore[arg-type]
    else:
        raise TypeError(f"The classifier ends with {type(last).__name__}, not with a layer that has classes.")
    nn.init.normal_(fresh.weight, std=0.01)
    if fresh.bias is not None:
        nn.init.zeros_(fresh.bias)
    classifier[index] = fresh.to(last.weight.device, last.weight.dtype).train(last.training)
