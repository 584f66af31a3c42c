"""Distillation losses: softened predictions and feature maps of a teacher.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), section 2; Romero et al., "FitNets: Hints for
Thin Deep Nets" (ICLR 2015), section 2.2; Zagoruyko and Komodakis, "Paying More Attention to Attention" (ICLR 2017), section
3.1.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of the logits (N, classes) at temperature T, averaged over the batch.

    The factor T² keeps the size of the gradient when T changes (Hinton et al., section 2, last paragraph).
    """
    return _divergence(student, F.log_softmax(teacher / temperature, dim=1), temperature)


def ensemble_loss(student: Tensor, teachers: Sequence[Tensor], temperature: float) -> Tensor:
    """The distillation loss against the mean of several teachers' softened probabilities (Hinton et al., section 1)."""
    if len(teachers) == 1:
        return distillation_loss(student, teachers[0], temperature)
    log_softened = torch.stack([F.log_softmax(teacher / temperature, dim=1) for teacher in teachers])
    mean = torch.logsumexp(log_softened, dim=0) - math.log(len(teachers))
    return _divergence(student, mean, temperature)


def _divergence(student: Tensor, log_target: Tensor, temperature: float) -> Tensor:
    log_student = F.log_softmax(student / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_target, reduction="batchmean", log_target=True)


def hint_loss(regressed: Tensor, hint: Tensor) -> Tensor:
    """½ · (r(student's features) - teacher's features)², both (N, C, H, W): FitNets, equation 3.

    The mean over all values replaces the sum, so that a weight has the same effect for feature maps of any size.
    """
    return 0.5 * F.mse_loss(regressed, hint)


def attention_map(features: Tensor) -> Tensor:
    """The spatial attention of features (N, C, H, W): sums of squares over channels, as unit vectors (N, H·W).

    Zagoruyko and Komodakis, F²_sum of section 3.1, divided by its L2 norm as in equation 2.
    """
    return F.normalize(features.square().sum(dim=1).flatten(1), dim=1)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """½ · ‖Q_S/‖Q_S‖ - Q_T/‖Q_T‖‖₂, averaged over the batch: a term of equation 2 without its factor β."""
    difference = attention_map(student) - attention_map(teacher)
    norm: Tensor = torch.linalg.vector_norm(difference, dim=1)
    return 0.5 * norm.mean()
