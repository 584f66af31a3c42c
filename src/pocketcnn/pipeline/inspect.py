"""`inspect`: the layers of a network and their cost, as data, as one HTML page, and as a drawing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketcnn.cost import Cost, PatchPlan, count, patch_plans
from pocketcnn.cost.cost import DEFINITIONS, LayerCost
from pocketcnn.cost.patches import best_of, first_global
from pocketcnn.files import write_text
from pocketcnn.graph import GraphNetwork, Node
from pocketcnn.graph.integer.interpreter import float_nodes
from pocketcnn.pipeline.networks import open_network
from pocketcnn.report.cost_page import write_cost_page
from pocketcnn.report.diagram import draw


@dataclass(frozen=True)
class Inspection:
    """A network, the cost of each layer, and the memory that patch-wise execution of its first stage would save.

    `source` is the file or the name of the network.
    """

    source: str
    network: GraphNetwork
    cost: Cost
    plans: Sequence[PatchPlan]

    @property
    def name(self) -> str:
        """Display name."""
        return self.network.info.name or Path(self.source).name

    @property
    def best_plan(self) -> PatchPlan | None:
        """The patch plan with the lowest peak memory; None if no plan lowers it."""
        return best_of(self.plans)

    @property
    def float_operations(self) -> dict[str, list[str]]:
        """For a quantized network: the operations that run in float32, with the names of their nodes."""
        graph, found = self.network.graph, dict[str, list[str]]()
        for name in float_nodes(graph) if graph.numerics else ():
            found.setdefault(graph[name].op, []).append(name)
        return found

    @property
    def whole_input_node(self) -> Node | None:
        """The first node that needs its whole input. The patch-wise stage must end before it."""
        return first_global(self.network.graph)

    def as_dict(self) -> dict[str, Any]:
        """All figures for JSON, in bytes and in shares from 0 to 1."""
        cost, best, numerics = self.cost, self.best_plan, self.network.numerics
        return {
            "source": self.source,
            "info": self.network.info,
            "input_shape": self.network.graph.input_shape,
            "output_shape": self.network.graph.output_shape,
            "weight_bits": {name: form.bits for name, form in numerics.weights.items()},
            "activation_bits": {name: form.bits for name, form in numerics.activations.items()},
            "definitions": DEFINITIONS,
            "cost": {
                **{name: value for name, value in asdict(cost).items() if name != "layers"},
                "flops": cost.flops,
                "intensity": cost.intensity,
                "layers": [_layer(layer, cost) for layer in cost.layers],
            },
            "patches": {"best": best and asdict(best), "plans": [asdict(plan) for plan in self.plans]},
        }

    def write_page(self, path: Path) -> Path:
        """Write the report to `path` as one HTML page, and return `path`."""
        write_cost_page(self.name, self.network, self.cost, self.plans, path)
        return path

    def write_drawing(self, path: Path, *, block: str | None = None, detail: str = "layers") -> Path:
        """Draw the network, or the module `block` of it, as SVG; see `pocketcnn.report.diagram.draw`.

        Raises:
            UsageError: there is no such module (the message suggests similar names), or no such detail.
        """
        title = self.name if block is None else f"{self.name}, {block}"
        write_text(path, draw(self.network.graph, title=title, block=block, detail=detail))
        return path


def inspect(network: GraphNetwork | str | Path) -> Inspection:
    """Count the cost of a network, layer by layer.

    Args:
        network: a captured network, or a file or name as in `open_network`.

    Raises:
        UsageError: there is no such file or network.
        PocketcnnError: the file is damaged, or contains an unsupported operator.
    """
    found = network if isinstance(network, GraphNetwork) else open_network(network)
    source = (found.info.name or "network") if isinstance(network, GraphNetwork) else str(network)
    return Inspection(source, found, count(found.graph), patch_plans(found.graph))


def _layer(layer: LayerCost, cost: Cost) -> dict[str, Any]:
    access = layer.memory_access_bytes
    return {
        **asdict(layer),
        "flops": layer.flops,
        "params_share": layer.params / cost.params if cost.params else 0.0,
        "weight_share": layer.weight_bytes / cost.weight_bytes if cost.weight_bytes else 0.0,
        "memory_access_bytes": access,
        "memory_access_share": access / cost.memory_access_bytes if cost.memory_access_bytes else 0.0,
        "intensity": layer.intensity,
        "live_share": layer.live_bytes / cost.peak_activation_bytes,
    }
