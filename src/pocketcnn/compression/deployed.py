"""A float network in the form in which it will be deployed: precision, sparse and clustered weights, and files.

Nothing is trained or calibrated here. So the cost of a deployed network is known before the network is made.
"""

from dataclasses import dataclass
from functools import cached_property

from pocketcnn.compression.coding import ClusterSettings, cluster_weights
from pocketcnn.compression.coding.sparsity import Sparsity, sparsify
from pocketcnn.compression.quantization import with_placeholder_formats
from pocketcnn.cost import Cost, count
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import Graph, GraphNetwork, for_inference
from pocketcnn.graph.model_file import smallest_size
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Figure, Target
from pocketcnn.targets.quantities import Artefacts, Quantity

PRECISIONS: tuple[Numerics, ...] = ("float32", "int8")
"""The precisions that a network can be deployed in, the most accurate first."""


@dataclass(frozen=True)
class WeightCompression:
    """Sparsity and clustering of the weights, applied after channel pruning to make the coded model file smaller.

    Attributes:
        sparsity: which weights become zero.
        cluster_bits: each layer gets a codebook of 2^bits values. Clustered weights stay in float32.
    """

    sparsity: Sparsity | None = None
    cluster_bits: int | None = None

    def applied(self, graph: Graph) -> Graph:
        """A float graph with sparse and clustered weights, without fine-tuning. A quantized graph is returned unchanged."""
        if graph.numerics:
            return graph
        network = GraphNetwork(graph)
        if self.sparsity is not None:
            network = sparsify(network, self.sparsity)
        if self.cluster_bits is not None:
            network = cluster_weights(network, ClusterSettings(bits=self.cluster_bits))
        return network.graph


UNCHANGED = WeightCompression()
"""No sparsity and no clustering."""


@dataclass(frozen=True)
class Deployed:
    """The deployed form of a graph, computed on demand; see `pocketcnn.targets.quantities.Artefacts`.

    Attributes:
        source: a float graph as it is trained; or a quantized graph, which is used as it is.
        precision: the precision of the deployed network.
        weights: sparsity and clustering that are applied before the files are written.
    """

    source: Graph
    precision: Numerics = "float32"
    weights: WeightCompression = UNCHANGED

    @cached_property
    def graph(self) -> Graph:
        """The graph that a runtime executes. Sparsity and clustering are left out: they do not change shapes."""
        return in_precision(self.source, self.precision)

    @cached_property
    def cost(self) -> Cost:
        """The cost of `graph` for one image."""
        return count(self.graph)

    @cached_property
    def onnx(self) -> bytes:
        """The ONNX file. Sparsity and clustering do not make it smaller."""
        return artefact_bytes(self.graph)

    @cached_property
    def coded_bytes(self) -> int:
        """Bytes of the coded model file. It holds the network as it is trained: a float one with its batch normalization."""
        compressed = self.weights.applied(self.source)
        return smallest_size(compressed if self.precision == "float32" else in_precision(compressed, self.precision))


@dataclass(frozen=True)
class Written:
    """A deployed network whose files exist: its graph, its ONNX file, and the bytes of its model file."""

    graph: Graph
    onnx: bytes
    coded_bytes: int

    @cached_property
    def cost(self) -> Cost:
        """The cost of `graph` for one image."""
        return count(self.graph)


def counted(deployed: Artefacts, quantity: Quantity) -> Figure:
    """The figure of a quantity that is counted, not measured.

    Raises:
        ValueError: the quantity is a latency.
    """
    row = quantity.row
    if row.figure is None:
        raise ValueError(f"{quantity} is not counted; it is predicted or measured on a target")
    return Figure.counted(row.figure(deployed), row.how)


def in_precision(graph: Graph, precision: str) -> Graph:
    """The graph that runs in `precision`: batch normalization folded, and for int8 with placeholder ranges."""
    if graph.numerics:
        return graph
    return for_inference(graph) if precision == "float32" else with_placeholder_formats(graph)


def artefact_bytes(graph: Graph) -> bytes:
    """The deployable ONNX file of a graph, as bytes."""
    data: bytes = to_onnx(graph).SerializeToString(deterministic=True)
    return data


def first_precision(target: Target) -> Numerics:
    """The most accurate precision that `target` supports."""
    return next(precision for precision in PRECISIONS if precision in target.numerics)
