"""Distillation: a student learns from the softened predictions of a teacher.

Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, section 2.
"""

import torch.nn.functional as F
from torch import Tensor


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of the logits (N, classes) at temperature T, averaged over the batch.

    The factor T² keeps the gradient's size when T changes (section 2, last paragraph).
    """
    return temperature**2 * F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
