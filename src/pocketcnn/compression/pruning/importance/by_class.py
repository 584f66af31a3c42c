"""Channel values grouped by channel class, and the views of weights and norms that criteria share."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.coupling.classes import Labels
from pocketcnn.compression.coupling.trace import Layer

Values = NDArray[np.float64]


class ByClass:
    """Collects channel values by class."""

    def __init__(self) -> None:
        self._classes: list[Labels] = []
        self._values: list[Values] = []

    def add(self, classes: Labels, values: Tensor) -> None:
        """Add one value for each entry of `classes`."""
        self._classes.append(classes)
        self._values.append(values.detach().cpu().double().reshape(-1).numpy())

    def _sums(self) -> tuple[Labels, Values, Values]:
        classes, index = np.unique(np.concatenate(self._classes), return_inverse=True)
        sums = np.bincount(index, np.concatenate(self._values)).astype(np.float64)
        return classes, sums, np.bincount(index).astype(np.float64)

    def mean(self) -> dict[int, float]:
        """Class -> mean of its values."""
        if not self._classes:
            return {}
        classes, sums, counts = self._sums()
        return dict(zip(classes.tolist(), (sums / counts).tolist(), strict=True))

    def total(self) -> dict[int, float]:
        """Class -> sum of its values."""
        if not self._classes:
            return {}
        classes, sums, _ = self._sums()
        return dict(zip(classes.tolist(), sums.tolist(), strict=True))

    def mean_or(self, otherwise: float, coupling: Coupling) -> dict[int, float]:
        """The means, and `otherwise` for prunable classes without a value."""
        return dict.fromkeys(coupling.removable().tolist(), otherwise) | self.mean()


def blocks(weight: Tensor, layer: Layer) -> Tensor:
    """View a weight (N, C/G, …) as (G, N/G, C/G, K·K), in double precision."""
    groups, inputs = layer.groups, len(layer.inputs) // layer.groups
    return weight.double().reshape(groups, len(layer.outputs) // groups, inputs, -1)


def relative(norms: Tensor) -> Tensor:
    """`norms` divided by their mean, which makes layers comparable."""
    mean = norms.mean()
    return norms / mean if mean > 0 else norms
