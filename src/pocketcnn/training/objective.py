"""The training loss: cross-entropy with label smoothing, MixUp and CutMix, and distillation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.layers import AuxiliaryClassifier
from pocketcnn.training.distiller import Distiller
from pocketcnn.training.feature_maps import recorded_feature_maps
from pocketcnn.training.recipe import Recipe
from pocketcnn.vision import require_torchvision

Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Objective:
    """The loss of a batch: w · T²·KL(teachers ‖ student) + (1 - w) · cross-entropy + β · feature loss.

    Without a teacher, w and β are 0. The cross-entropy of a network's auxiliary classifier is added with the weight that the
    network defines.
    """

    recipe: Recipe
    mixer: Mixer | None = None
    distiller: Distiller | None = None

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of images (N, C, H, W) with labels (N,): a differentiable scalar.

        Raises:
            UsageError: in train mode the network does not return logits.
        """
        if self.mixer is not None:
            images, labels = self.mixer(images, labels)
        with recorded_feature_maps(network, self.distiller.student_maps if self.distiller else ()) as maps:
            logits, auxiliary, share = _logits(network, images)
        if not isinstance(logits, Tensor):
            raise UsageError(
                f"In training the network returns {type(logits).__name__} instead of logits. "
                "Build it without auxiliary classifiers (aux_logits=False), or capture it first."
            )
        hard = self._cross_entropy(logits, labels)
        if auxiliary is not None:
            hard = hard + share * self._cross_entropy(auxiliary, labels)
        if self.distiller is None:
            return hard
        soft, of_features = self.distiller.loss(images, logits, maps)
        weight = self.recipe.distillation_weight
        return weight * soft + (1 - weight) * hard + self.recipe.distillation_feature_weight * of_features

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)


def _logits(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None, float]:
    """The logits, and those of the auxiliary classifier with its weight, if there is one."""
    if isinstance(network, AuxiliaryClassifier) and network.auxiliary_weight:
        return *network.forward_with_auxiliary(images), network.auxiliary_weight
    return network(images), None, 0.0


def build_mixer(recipe: Recipe, classes: int) -> Mixer | None:
    """torchvision's MixUp and CutMix as in the recipe; with both, one is drawn for each batch.

    The mixer maps labels (N,) to class probabilities (N, classes).
    """
    if not (recipe.mixup_alpha or recipe.cutmix_alpha):
        return None
    v2 = require_torchvision("transforms.v2")
    mixers = []
    if recipe.mixup_alpha:
        mixers.append(v2.MixUp(alpha=recipe.mixup_alpha, num_classes=classes))
    if recipe.cutmix_alpha:
        mixers.append(v2.CutMix(alpha=recipe.cutmix_alpha, num_classes=classes))
    mixer: Mixer = mixers[0] if len(mixers) == 1 else v2.RandomChoice(mixers)
    return mixer
