"""After channels were removed: the layers that read them are fitted so that they answer as in the whole network.

He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, section 3.1, equation 1 with the
channels given (and ThiNet, section 3.2.3). Layers are fitted in the order in which they run, each on what the layers before
it, already fitted, now give it, so that errors do not add up (section 3.2, "whole model pruning").
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.coupling.trace import Layer
from pocketcnn.compression.pruning.reconstruction.least_squares import Moments, fitted
from pocketcnn.compression.sampled_positions import SampledPositions, patches, sample_positions_per_image, values_at
from pocketcnn.cost import count
from pocketcnn.graph import OPS, Graph, GraphNetwork, Node

PLACES = 10
"""Places of an image that are looked at in a map, as in the paper; more where a layer has many weights to find."""

SAMPLES_A_WEIGHT = 8
HELD_OUT = 4
"""Every fourth image judges."""

BATCH = 32
MEMORY = 2**30
"""Bytes of activations that all images together may take; beyond that fewer images are looked at."""


@dataclass
class _Target:
    """A layer to fit, the outputs that are left of it, where it is looked at, and what it answered there in the whole network."""

    layer: Layer
    rows: Tensor
    places: SampledPositions
    answers: list[Tensor] = field(default_factory=list)


def reconstruct(whole: Graph, pruned: Graph, coupling: Coupling, classes: Sequence[int], images: Tensor) -> Graph:
    """`pruned` with the weights of the layers that read removed channels fitted to what these layers answer in `whole`.

    Where the removed channels were linear combinations of those that are left, `pruned` then computes what `whole` does.
    Depthwise convolutions lose channels with all that reads them, and layers that share a weight cannot each have their own:
    both stay as they are. Statistics of batch norms stay too, but for a constant that such a layer cannot add itself.

    Args:
        whole: a float graph.
        pruned: what `remove(whole, classes, coupling)` left of it.
        images: (N, C, H, W), at least some hundred; their labels are not needed.
    """
    images = images[: max(HELD_OUT, MEMORY // max(1, count(whole).peak_activation_bytes))]
    targets = _targets(whole, pruned, coupling, classes, len(images))
    if not targets or len(images) < HELD_OUT:
        return pruned
    _look(whole, targets, images)
    network = GraphNetwork(pruned).eval()
    with torch.no_grad():
        network.run(images, _Sweep(pruned, network, targets).observe)
    return network.graph


def _targets(
    whole: Graph, pruned: Graph, coupling: Coupling, classes: Sequence[int], images: int
) -> dict[str, _Target]:
    """By name, the layers that have lost inputs and have a weight of their own."""
    left = coupling.staying(classes)
    uses = Counter(name for node in whole.nodes for name in set(node.tensors.values()))
    draw = torch.Generator().manual_seed(0)
    targets = {}
    for layer in coupling.layers:
        if layer.passes or left[layer.inputs].all() or uses[layer.weight] > 1 or layer.node not in pruned:
            continue
        node = pruned[layer.node]
        if node.op == "conv2d" and node.integer("groups") != layer.groups:
            continue
        inputs = pruned.tensors[layer.weight][0].numel()
        each = max(PLACES, ceil(SAMPLES_A_WEIGHT * inputs / images))
        places = sample_positions_per_image(node.shape, images, each, draw)
        targets[layer.node] = _Target(layer, torch.from_numpy(left[layer.outputs].nonzero()[0]), places)
    return targets


def _look(whole: Graph, targets: dict[str, _Target], images: Tensor) -> None:
    """Note what each layer answers in the whole network."""
    network = GraphNetwork(whole).eval()
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]

        def note(node: Node, value: Tensor, start: int = start) -> None:
            if node.name in targets:
                target = targets[node.name]
                places = target.places.of_images(start, start + len(value))
                target.answers.append(values_at(value[:, target.rows], places))

        with torch.no_grad():
            network.run(batch, note)


class _Sweep:
    """One pass of all images through the pruned network, in which each layer is fitted when its turn comes."""

    def __init__(self, graph: Graph, network: GraphNetwork, targets: dict[str, _Target]) -> None:
        self._graph, self._targets = graph, targets
        self._tensors = network.state_dict(keep_vars=False)  # shares its memory with the network
        self._readers = Counter(graph[name].inputs[0] for name in targets)
        self._inputs: dict[str, Tensor] = {}

    def observe(self, node: Node, value: Tensor) -> Tensor | None:
        """Fit `node` if it is a target; the next nodes then see its new answer."""
        answer = None
        if node.name in self._targets:
            answer = self._fit(node, self._inputs[node.inputs[0]])
            self._readers[node.inputs[0]] -= 1
            if not self._readers[node.inputs[0]]:
                del self._inputs[node.inputs[0]]
        if self._readers[node.name]:
            self._inputs[node.name] = value if answer is None else answer
        return answer

    def _fit(self, node: Node, value: Tensor) -> Tensor:
        target, weight = self._targets[node.name], self._tensors[node.tensors["weight"]]
        groups = target.layer.groups
        seen, held_out = self._moments(target, node, value, weight)
        present = weight.cpu().double().reshape(groups, weight.shape[0] // groups, -1)
        bias = self._tensors[node.tensors["bias"]] if "bias" in node.tensors else None
        found = fitted(seen, held_out, present, intercept=self._can_shift(node))
        if found.ridge is not None:
            weight.copy_(found.weight.reshape(weight.shape))
            self._shift(node, found.intercept.reshape(-1))
        tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return OPS[node.op].run(node, [value], tensors, False)

    def _moments(self, target: _Target, node: Node, value: Tensor, weight: Tensor) -> tuple[Moments, Moments]:
        """Of three images in four, and of the fourth; the bias is taken off the answers."""
        groups, outputs = target.layer.groups, weight.shape[0]
        bias = self._tensors[node.tensors["bias"]] if "bias" in node.tensors else weight.new_zeros(())
        seen, held_out = (Moments.empty(groups, weight[0].numel(), outputs // groups) for _ in range(2))
        for number, answers in enumerate(target.answers):
            start, stop = number * BATCH, min((number + 1) * BATCH, len(value))
            places = target.places.of_images(start, stop)
            read = patches(node, value[start:stop], tuple(weight.shape), places)
            judges = (places.image + start) % HELD_OUT == 0
            for moments, chosen in ((seen, ~judges), (held_out, judges)):
                x, y = read[chosen], answers[chosen] - bias
                moments.add(x.cpu(), y.cpu().reshape(len(y), groups, -1))
        return seen, held_out

    def _can_shift(self, node: Node) -> bool:
        """Whether a constant can be added to the answer: by a bias of its own, or by a batch norm that alone reads it."""
        name = node.tensors.get("bias") or self._mean_after(node)
        return name is not None and self._uses(name) == 1

    def _mean_after(self, node: Node) -> str | None:
        users = self._graph.users(node.name)
        alone = len(users) == 1 and users[0].op == "batch_norm" and node.name != self._graph.output
        return users[0].tensors["running_mean"] if alone else None

    def _uses(self, tensor: str) -> int:
        return sum(tensor in node.tensors.values() for node in self._graph.nodes)

    def _shift(self, node: Node, by: Tensor) -> None:
        if not self._can_shift(node):
            return
        if "bias" in node.tensors:
            bias = self._tensors[node.tensors["bias"]]
            bias.add_(by.to(bias))
        elif (name := self._mean_after(node)) is not None:
            mean = self._tensors[name]
            mean.sub_(by.to(mean))
