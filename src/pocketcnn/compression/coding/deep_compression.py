"""Deep Compression: prune, fine-tune, cluster, fine-tune the codebooks.

Han, Mao and Dally, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding"
(ICLR 2016), Figure 1. The third step of the figure, entropy coding, belongs to the model file (`graph.coded`).
"""

from collections.abc import Callable

from torch import nn

from pocketcnn.compression.coding.clustered_network import ClusteredNetwork
from pocketcnn.compression.coding.clustering import clusterable_weights, codebooks_of, pruned, with_clustered_weights
from pocketcnn.compression.coding.settings import ClusterSettings
from pocketcnn.compression.coding.sparsity import zeros_kept
from pocketcnn.graph import GraphNetwork, for_inference

Retrain = Callable[[str, nn.Module], None]
"""Fine-tunes the module of a stage, ``"sparse"`` or ``"shared"`` (clustered), in place."""


def deep_compress(network: GraphNetwork, settings: ClusterSettings, retrain: Retrain) -> GraphNetwork:
    """Prune and cluster the weights of a float network, and fine-tune after each step.

    Batch normalization is folded after the sparse fine-tuning, which needs its statistics. Clustering then works on the
    weights that are stored.

    Args:
        network: a captured float network; it is not changed.
        settings: density, bits and precision of the file.
        retrain: called as ``retrain(stage, module)`` after pruning and after clustering; it trains in place.

    Raises:
        UsageError: the network is quantized, or the settings name a weight that it does not have.
        Whatever `retrain` raises.
    """
    sparse = pruned(network, settings)
    if settings.density is not None:
        with zeros_kept(sparse):
            retrain("sparse", sparse)
    return cluster_and_fine_tune(sparse, settings, retrain)


def cluster_and_fine_tune(network: GraphNetwork, settings: ClusterSettings, retrain: Retrain) -> GraphNetwork:
    """The second half: cluster the non-zero weights, and fine-tune the codebooks."""
    folded = GraphNetwork(for_inference(network.graph), network.info)
    weights = clusterable_weights(folded.graph, settings)
    shared = codebooks_of(weights, settings)
    if shared:
        tuned = ClusteredNetwork(folded, shared)
        retrain("shared", tuned)
        folded, shared = tuned.reparameterize(), tuned.shared()
    return GraphNetwork(with_clustered_weights(folded.graph, weights, shared, settings.digits), network.info)
