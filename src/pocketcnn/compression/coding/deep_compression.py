"""Deep Compression: prune, retrain, share, retrain the shared values.

Han, Mao and Dally, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman
Coding" (ICLR 2016), Figure 1. The third step of the figure, coding, is that of the model file (`graph.coded`).
"""

from collections.abc import Callable

from torch import nn

from pocketcnn.compression.coding.clustered_network import ClusteredNetwork
from pocketcnn.compression.coding.clustering import coded_weights, pruned, shared_weights, with_values
from pocketcnn.compression.coding.settings import ClusterSettings
from pocketcnn.compression.coding.sparsity import zeros_kept
from pocketcnn.graph import GraphNetwork, for_inference

Retrain = Callable[[str, nn.Module], None]
"""Trains the module of a stage, ``"sparse"`` or ``"shared"``, in place."""


def deep_compress(network: GraphNetwork, settings: ClusterSettings, retrain: Retrain) -> GraphNetwork:
    """The weights of a float network pruned and shared, with `retrain` after each step.

    `network` is not changed. Batch normalization is folded between the steps: statistics help the sparse network to
    learn, and shared values must be those of the weights that are stored.

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
    """The second half: the weights that are not zero are shared, and their shared values trained."""
    folded = GraphNetwork(for_inference(network.graph), network.info)
    weights = coded_weights(folded.graph, settings)
    shared = shared_weights(weights, settings)
    if shared:
        tuned = ClusteredNetwork(folded, shared)
        retrain("shared", tuned)
        folded, shared = tuned.reparameterize(), tuned.shared()
    return GraphNetwork(with_values(folded.graph, weights, shared, settings.digits), network.info)
