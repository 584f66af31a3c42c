"""The effect of pruning: widths and costs before and after."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketcnn.cost.counting import parameters, total_madds
from pocketcnn.graph.graph import Graph


@dataclass(frozen=True)
class PruneReport:
    """Widths and costs before and after; `channels` maps each layer to its output channels (before, after)."""

    channels: Mapping[str, tuple[int, int]]
    madds_before: int
    madds_after: int
    parameters_before: int
    parameters_after: int

    @classmethod
    def of(cls, before: Graph, after: Graph) -> "PruneReport":
        """Compare a graph with its pruned form."""
        layers = [node for node in before.nodes if node.op in ("conv2d", "linear")]
        return cls(
            channels={node.name: (node.shape[0], after[node.name].shape[0]) for node in layers},
            madds_before=total_madds(before),
            madds_after=total_madds(after),
            parameters_before=parameters(before),
            parameters_after=parameters(after),
        )

    @property
    def madds_kept(self) -> float:
        """The kept share of the multiply-adds."""
        return self.madds_after / self.madds_before

    @property
    def parameters_kept(self) -> float:
        """The kept share of the parameters."""
        return self.parameters_after / self.parameters_before
