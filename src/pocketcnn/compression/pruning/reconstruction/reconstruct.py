"""Reconstruction after channel removal: each layer that reads removed channels is fitted to its original output.

He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep Neural Networks" (ICCV 2017), section 3.1, equation 1 with the
channels given (also ThiNet, section 3.2.3). Layers are fitted in the order in which they run, on inputs from the layers
already fitted, so that errors do not accumulate (section 3.2, "whole model pruning").
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

POSITIONS_PER_IMAGE = 10
"""Sampled positions per image and map, as in the paper; more if a layer has many weights to fit."""

SAMPLES_PER_WEIGHT = 8
HELD_OUT = 4
"""Every fourth image is held out to choose the ridge strength."""

BATCH = 32
MEMORY = 2**30
"""Bytes of activations for all images together; if they would take more, fewer images are used."""


@dataclass
class _Target:
    """A layer to fit, its remaining outputs, the sampled positions, and its original outputs there."""

    layer: Layer
    rows: Tensor
    positions: SampledPositions
    answers: list[Tensor] = field(default_factory=list)


def reconstruct(whole: Graph, pruned: Graph, coupling: Coupling, classes: Sequence[int], images: Tensor) -> Graph:
    """`pruned` with the layers that read removed channels fitted to their outputs in `whole`.

    If the removed channels were linear combinations of the remaining ones, `pruned` then computes the same as `whole`. Not
    fitted are depthwise convolutions, which lose channels together with all that read them, and layers that share a weight.
    Batch-norm statistics stay, except for a constant that a layer without bias cannot add itself.

    Args:
        whole: the unpruned float graph.
        pruned: the result of `remove(whole, classes, coupling)`.
        coupling: the coupling of `whole`.
        classes: the removed channel classes.
        images: (N, C, H, W), at least some hundred; labels are not needed.
    """
    images = images[: max(HELD_OUT, MEMORY // max(1, count(whole).peak_activation_bytes))]
    targets = _targets(whole, pruned, coupling, classes, len(images))
    if not targets or len(images) < HELD_OUT:
        return pruned
    _record_outputs(whole, targets, images)
    network = GraphNetwork(pruned).eval()
    with torch.no_grad():
        network.run(images, _FittingPass(pruned, network, targets).observe)
    return network.graph


def _targets(
    whole: Graph, pruned: Graph, coupling: Coupling, classes: Sequence[int], images: int
) -> dict[str, _Target]:
    """By name, the layers that have lost inputs and do not share their weight."""
    left = coupling.kept_mask(classes)
    uses = Counter(name for node in whole.nodes for name in set(node.tensors.values()))
    draw = torch.Generator().manual_seed(0)
    targets = {}
    for layer in coupling.layers:
        if layer.depthwise_like or left[layer.inputs].all() or uses[layer.weight] > 1 or layer.node not in pruned:
            continue
        node = pruned[layer.node]
        if node.op == "conv2d" and node.integer("groups") != layer.groups:
            continue
        inputs = pruned.tensors[layer.weight][0].numel()
        each = max(POSITIONS_PER_IMAGE, ceil(SAMPLES_PER_WEIGHT * inputs / images))
        positions = sample_positions_per_image(node.shape, images, each, draw)
        targets[layer.node] = _Target(layer, torch.from_numpy(left[layer.outputs].nonzero()[0]), positions)
    return targets


def _record_outputs(whole: Graph, targets: dict[str, _Target], images: Tensor) -> None:
    """Record the outputs of each target layer in the unpruned network."""
    network = GraphNetwork(whole).eval()
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]

        def record(node: Node, value: Tensor, start: int = start) -> None:
            if node.name in targets:
                target = targets[node.name]
                positions = target.positions.of_images(start, start + len(value))
                target.answers.append(values_at(value[:, target.rows], positions))

        with torch.no_grad():
            network.run(batch, record)


class _FittingPass:
    """One pass of all images through the pruned network, in which each layer is fitted when it runs."""

    def __init__(self, graph: Graph, network: GraphNetwork, targets: dict[str, _Target]) -> None:
        self._graph, self._targets = graph, targets
        self._tensors = network.state_dict(keep_vars=False)  # shares its memory with the network
        self._readers = Counter(graph[name].inputs[0] for name in targets)
        self._inputs: dict[str, Tensor] = {}

    def observe(self, node: Node, value: Tensor) -> Tensor | None:
        """Fit `node` if it is a target; later nodes then read its new output."""
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
        """Moments of three images in four, and of the held-out fourth; the bias is subtracted from the outputs."""
        groups, outputs = target.layer.groups, weight.shape[0]
        bias = self._tensors[node.tensors["bias"]] if "bias" in node.tensors else weight.new_zeros(())
        seen, held_out = (Moments.empty(groups, weight[0].numel(), outputs // groups) for _ in range(2))
        for number, answers in enumerate(target.answers):
            start, stop = number * BATCH, min((number + 1) * BATCH, len(value))
            positions = target.positions.of_images(start, stop)
            read = patches(node, value[start:stop], tuple(weight.shape), positions)
            is_held_out = (positions.image + start) % HELD_OUT == 0
            for moments, chosen in ((seen, ~is_held_out), (held_out, is_held_out)):
                x, y = read[chosen], answers[chosen] - bias
                moments.add(x.cpu(), y.cpu().reshape(len(y), groups, -1))
        return seen, held_out

    def _can_shift(self, node: Node) -> bool:
        """Whether a constant can be added to the output: by its own bias, or by a batch norm that is its only reader."""
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
