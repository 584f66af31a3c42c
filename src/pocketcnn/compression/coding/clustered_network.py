"""A network that is trained within its shared values.

Which weight takes which value stays; the values are trained in place of the weights, so that the gradient of a value is
the sum over the weights that take it (Han, Mao and Dally, section 3.3, equation 3).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pocketcnn.compression.coding.clustering import ClusteredWeights
from pocketcnn.graph import GraphNetwork
from pocketcnn.layers import Reparameterizable


class ClusteredNetwork(nn.Module, Reparameterizable):
    """Runs a captured network with weights made of their shared values; what is not shared is trained as it is.

    `shared` holds, by weight name, the values of the weights that are not zero, in their order; zeros stay zeros.
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
        """The shared weights, by name."""
        found = {}
        for number, (name, codebook) in enumerate(zip(self._names, self.codebooks, strict=True)):
            places, indices = self.get_buffer(f"places{number}"), self.get_buffer(f"indices{number}")
            found[name] = codebook.new_zeros(places.shape).masked_scatter(places, codebook[indices])
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        result: Tensor = functional_call(self.network, self.weights(), (x,))
        return result

    def shared(self) -> dict[str, ClusteredWeights]:
        """The shared values as they are now."""
        parts = enumerate(zip(self._names, self.codebooks, strict=True))
        return {
            name: ClusteredWeights(book.detach().clone(), self.get_buffer(f"indices{n}")) for n, (name, book) in parts
        }

    def reparameterize(self) -> GraphNetwork:
        """The captured network with the weights as they are now."""
        graph = self.network.graph
        with torch.no_grad():
            tensors = {name: tensor.detach().clone() for name, tensor in {**graph.tensors, **self.weights()}.items()}
        return GraphNetwork(graph.rebuilt(tensors=tensors), self.network.info)
