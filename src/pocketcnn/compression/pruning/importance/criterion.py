"""The signature of an importance criterion, and the data that it may use besides the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from pocketcnn.compression.coupling import Coupling
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph


@dataclass(frozen=True)
class CriterionData:
    """The data that a criterion may use besides the weights.

    Attributes:
        batches: images (N, C, H, W) with labels as `loss(logits, labels)` takes them, on the network's device.
        loss: the loss of logits (N, classes); cross-entropy by default.
        seed: of criteria that draw random numbers.
    """

    batches: Sequence[tuple[Tensor, Tensor]] = ()
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    seed: int = 0

    def needed_by(self, name: str) -> Sequence[tuple[Tensor, Tensor]]:
        """The batches, for the criterion `name`, which requires them.

        Raises:
            UsageError: there are none.
        """
        if not self.batches:
            raise UsageError(f"The criterion {name!r} needs batches of labelled images: pass `batches`.")
        return self.batches


Criterion = Callable[[Graph, Coupling, CriterionData], dict[int, float]]
