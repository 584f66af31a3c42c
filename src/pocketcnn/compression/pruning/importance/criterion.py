"""What a criterion is: its signature, and what it may look at besides the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from pocketcnn.compression.coupling import Coupling
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph


@dataclass(frozen=True)
class CriterionData:
    """What a criterion may look at besides the weights.

    `batches` are images (N, C, H, W) with labels as `loss(logits, labels)` takes them, on the network's device.
    """

    batches: Sequence[tuple[Tensor, Tensor]] = ()
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    seed: int = 0

    def needed_by(self, name: str) -> Sequence[tuple[Tensor, Tensor]]:
        """The batches, which the criterion `name` cannot do without.

        Raises:
            UsageError: there are none.
        """
        if not self.batches:
            raise UsageError(f"The criterion {name!r} needs batches of labelled images: pass `batches`.")
        return self.batches


Criterion = Callable[[Graph, Coupling, CriterionData], dict[int, float]]
