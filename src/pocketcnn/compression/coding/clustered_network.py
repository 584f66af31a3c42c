"""Fine-tuning of clustered weights: a network whose trainable parameters are the codebooks.

The assignment of weights to codebook entries is fixed. The gradient of an entry is the sum of the gradients of all weights
that are assigned to it (Han, Mao and Dally, "Deep Compression", section 3.3, equation 3).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pocketcnn.compression.coding.clustering import ClusteredWeights
from pocketcnn.graph import GraphNetwork
from pocketcnn.layers import Reparameterizable


class ClusteredNetwork(nn.Module, Reparameterizable):
    """Runs a captured network with its weights taken from codebooks; all other parameters are trained directly.

    Args:
        network: a float network without weight clustering.
        shared: by weight name, the codebook and indices of the non-zero weights, in their order; zeros stay zero.
    """

    def __init__(self, network: GraphNetwork, shared: Mapping[str, ClusteredWeights]) -> None:
        super().__init__()
        self.network = network
        self._names = tuple(shared)
        self.codebooks = nn.ParameterList(part.codebook.clone() for part in shared.values())
        for number, (name, part) in enumerate(shared.items()):
            weight = network.get_parameter(name).requires_grad_(False)
            self.register_buffer(f"places{number}", weight.detach() != 0)
            self.register_buffer(f"indices{number}", part.indices)

    def weights(self) -> dict[str, Tensor]:
        """The clustered weights, by name."""
        found = {}
        for number, (name, codebook) in enumerate(zip(self._names, self.codebooks, strict=True)):
            nonzero, indices = self.get_buffer(f"places{number}"), self.get_buffer(f"indices{number}")
            found[name] = codebook.new_zeros(nonzero.shape).masked_scatter(nonzero, codebook[indices])
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        result: Tensor = functional_call(self.network, self.weights(), (x,))
        return result

    def shared(self) -> dict[str, ClusteredWeights]:
        """The current codebooks and indices, by weight name."""
        parts = enumerate(zip(self._names, self.codebooks, strict=True))
        return {
            name: ClusteredWeights(book.detach().clone(), self.get_buffer(f"indices{n}")) for n, (name, book) in parts
        }

    def reparameterize(self) -> GraphNetwork:
        """The captured network with the current values of its weights."""
        graph = self.network.graph
        with torch.no_grad():
            tensors = {name: tensor.detach().clone() for name, tensor in {**graph.tensors, **self.weights()}.items()}
        return GraphNetwork(graph.rebuilt(tensors=tensors), self.network.info)
