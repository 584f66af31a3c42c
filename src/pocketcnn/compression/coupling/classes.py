"""Labels that channels carry through a graph, and the classes of coupled labels: a disjoint-set forest."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
"""The label of each position of a value. An axis with equal labels has size 1: (C, 1, 1) for a feature map."""

Mask = NDArray[np.bool_]
"""Which positions are kept."""


@dataclass
class ChannelClasses:
    """Classes of labels whose channels must be pruned together. A class is named by its smallest label, so results do not
    depend on the order of operations.
    """

    _parent: Labels = field(default_factory=lambda: np.empty(0, np.int64))
    _reasons: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._parent)

    def fresh(self, count: int) -> Labels:
        """`count` new labels, (count,), each in its own class."""
        start = len(self._parent)
        labels = np.arange(start, start + count, dtype=np.int64)
        self._parent = np.concatenate([self._parent, labels])
        return labels

    def find(self, labels: Labels) -> Labels:
        """The class of each label."""
        while True:
            parents = self._parent[labels]
            if np.array_equal(parents, labels):
                return labels
            self._parent[labels] = self._parent[parents]  # halve the path for the next search
            labels = parents

    def unite(self, first: Labels, second: Labels) -> None:
        """Join the classes of the labels at the same position; the arrays are broadcast against each other."""
        pairs = np.stack([part.ravel() for part in np.broadcast_arrays(self.find(first), self.find(second))])
        for one, other in np.unique(pairs[:, pairs[0] != pairs[1]], axis=1).T:
            low, high = sorted((self._root(int(one)), self._root(int(other))))
            self._parent[high] = low

    def _root(self, label: int) -> int:
        while self._parent[label] != label:
            label = int(self._parent[label])
        return label

    def unite_along(self, labels: Labels, axis: int) -> Labels:
        """Join all labels along `axis`; the result has size 1 there."""
        first = labels.take([0], axis=axis)
        if labels.shape[axis] > 1:
            self.unite(labels, first)
        return first

    def freeze(self, labels: Labels, reason: str) -> None:
        """Forbid the removal of the classes of these labels."""
        for label in np.unique(labels):
            self._reasons.setdefault(int(label), reason)

    def frozen(self) -> dict[int, str]:
        """The classes that must be kept, and the first reason for each."""
        reasons: dict[int, str] = {}
        for label, reason in self._reasons.items():
            reasons.setdefault(self._root(label), reason)
        return reasons
