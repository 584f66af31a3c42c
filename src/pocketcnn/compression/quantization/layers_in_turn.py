"""Modify the layers of a quantized network in order, each on the inputs that the already modified layers produce.

Bias correction and AdaRound both work this way: the target of a layer comes from the float network, its input from the
quantized network so far. One forward pass suffices, because the input of a layer is computed before the layer.
"""

from collections import Counter
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from pocketcnn.graph import Graph, GraphNetwork, Node

MAX_ELEMENTS = 2**26
"""Elements of the largest activation over all images of the batch: 256 MB in float32."""

MAX_IMAGES = 256
"""Enough images: a layer has thousands of values in them."""

Change = Callable[[Node, Tensor, dict[str, Tensor]], dict[str, Tensor]]
"""(layer, its quantized input (N, C, H, W), its tensors by role) -> the tensors to replace, by role."""


def single_batch(graph: Graph, images: Tensor) -> Tensor:
    """Evenly spaced images (N, C, H, W), as many as are needed and fit in one batch."""
    max_images = max(1, MAX_ELEMENTS // max(prod(node.shape) for node in graph.nodes))
    count = min(len(images), max_images, MAX_IMAGES)
    return images[[index * len(images) // count for index in range(count)]]


def layers_of(graph: Graph) -> list[Node]:
    """The layers with integer weights that they do not share with other layers."""
    uses = Counter(name for node in graph.nodes for name in node.tensors.values())
    weights = graph.numerics.weights
    return [
        node
        for node in graph.nodes
        if node.tensors.get("weight") in weights and all(uses[name] == 1 for name in node.tensors.values())
    ]


def modify_in_order(graph: Graph, images: Tensor, change: Change) -> Graph:
    """The quantized `graph` with the tensors of its layers replaced as `change` returns them; all images run in one batch."""
    network = GraphNetwork(graph).eval()
    readers: dict[str, list[Node]] = {}
    for layer in layers_of(graph):
        readers.setdefault(layer.inputs[0], []).append(layer)
    state = network.state_dict()  # shares memory with the network
    changed: dict[str, Tensor] = {}

    def watch(node: Node, value: Tensor) -> None:
        for layer in readers.get(node.name, ()):
            tensors = {role: state[name] for role, name in layer.tensors.items()}
            for role, tensor in change(layer, value, tensors).items():
                state[layer.tensors[role]].copy_(tensor)
                changed[layer.tensors[role]] = tensor.detach().clone()

    with torch.no_grad():
        network.run(images, watch)
    return graph.rebuilt(tensors={**graph.tensors, **changed})
