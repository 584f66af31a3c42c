"""The layers of a quantized network one after another, each changed with the inputs that the changed ones before it give.

Bias correction and adaptive rounding both work so: what a layer is to make is known from the float network, what it is
given comes from the quantized network as it is by then. One pass suffices, because a layer's input is made before the
layer runs.
"""

from collections import Counter
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from pocketcnn.graph import Graph, GraphNetwork, Node

MAX_ELEMENTS = 2**26
"""Of the largest value, over all images that run at once: 256 MB in float32."""

MAX_IMAGES = 256
"""A layer has thousands of values in so many."""

Change = Callable[[Node, Tensor, dict[str, Tensor]], dict[str, Tensor]]
"""From a layer, its quantized input (N, C, H, W) and its tensors by role to those tensors that are to be others."""


def single_batch(graph: Graph, images: Tensor) -> Tensor:
    """Of the images (N, C, H, W) as many, evenly spread, as are needed and can run in one batch."""
    most = max(1, MAX_ELEMENTS // max(prod(node.shape) for node in graph.nodes))
    count = min(len(images), most, MAX_IMAGES)
    return images[[index * len(images) // count for index in range(count)]]


def layers_of(graph: Graph) -> list[Node]:
    """The layers with integer weights of their own: what several of them share must suit all."""
    uses = Counter(name for node in graph.nodes for name in node.tensors.values())
    weights = graph.numerics.weights
    return [
        node
        for node in graph.nodes
        if node.tensors.get("weight") in weights and all(uses[name] == 1 for name in node.tensors.values())
    ]


def modify_in_order(graph: Graph, images: Tensor, change: Change) -> Graph:
    """`graph`, quantized, with the tensors of its layers as `change` wants them; all images run in one batch."""
    network = GraphNetwork(graph).eval()
    readers: dict[str, list[Node]] = {}
    for layer in layers_of(graph):
        readers.setdefault(layer.inputs[0], []).append(layer)
    state = network.state_dict()  # the very tensors that the network computes with
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
