"""A float network as it will be deployed: in which precision, with which zeros and shared values, in which files.

Nothing is trained or calibrated for it. What is counted on it is so known before the network is made.
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
"""The precisions that a network can be deployed in, the most exact first."""


@dataclass(frozen=True)
class WeightCompression:
    """What is done to single weights for the sake of the coded file, after channels are pruned.

    Attributes:
        sparsity: the weights that are set to zero.
        cluster_bits: the weights of a layer share 2^bits values; they stay in float32.
    """

    sparsity: Sparsity | None = None
    cluster_bits: int | None = None

    def applied(self, graph: Graph) -> Graph:
        """A float graph with the zeros and shared values that its weights are to get, without training."""
        if graph.numerics:
            return graph
        network = GraphNetwork(graph)
        if self.sparsity is not None:
            network = sparsify(network, self.sparsity)
        if self.cluster_bits is not None:
            network = cluster_weights(network, ClusterSettings(bits=self.cluster_bits))
        return network.graph


UNCHANGED = WeightCompression()
"""All weights stay as they are."""


@dataclass(frozen=True)
class Deployed:
    """A graph on its way to a device; see `pocketcnn.targets.quantities.Artefacts`.

    Attributes:
        source: a float graph as it is trained; or one that is quantized already, which stays as it is.
        precision: that it is deployed in.
        weights: what its weights go through before its files are written.
    """

    source: Graph
    precision: Numerics = "float32"
    weights: WeightCompression = UNCHANGED

    @cached_property
    def graph(self) -> Graph:
        """What a runtime runs. Zeros and shared values change no shape, so they are left out here."""
        return in_precision(self.source, self.precision)

    @cached_property
    def cost(self) -> Cost:
        """Of `graph`, for one image."""
        return count(self.graph)

    @cached_property
    def onnx(self) -> bytes:
        """The ONNX file, which no zeros or shared values make smaller."""
        return artefact_bytes(self.graph)

    @cached_property
    def coded_bytes(self) -> int:
        """Bytes of the coded model file. It holds the network as it is trained on: a float one with its batch normalization."""
        compressed = self.weights.applied(self.source)
        return smallest_size(compressed if self.precision == "float32" else in_precision(compressed, self.precision))


@dataclass(frozen=True)
class Written:
    """A deployed network whose files lie there: its graph, its ONNX file and the bytes of its model file."""

    graph: Graph
    onnx: bytes
    coded_bytes: int

    @cached_property
    def cost(self) -> Cost:
        """Of `graph`, for one image."""
        return count(self.graph)


def counted(deployed: Artefacts, quantity: Quantity) -> Figure:
    """The figure of a quantity that needs no measurement.

    Raises:
        ValueError: it is a time.
    """
    row = quantity.row
    if row.figure is None:
        raise ValueError(f"{quantity} is not counted; it is predicted or measured on a target")
    return Figure.counted(row.figure(deployed), row.how)


def in_precision(graph: Graph, precision: str) -> Graph:
    """The graph that runs when it is deployed in the precision `precision`: folded, and for int8 with placeholder ranges."""
    if graph.numerics:
        return graph
    return for_inference(graph) if precision == "float32" else with_placeholder_formats(graph)


def artefact_bytes(graph: Graph) -> bytes:
    """The deployable ONNX file of a graph, as bytes."""
    data: bytes = to_onnx(graph).SerializeToString(deterministic=True)
    return data


def first_precision(target: Target) -> Numerics:
    """The most exact precision that `target` runs."""
    return next(precision for precision in PRECISIONS if precision in target.numerics)
