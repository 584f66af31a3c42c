"""AdaRound: each weight is rounded up or down, whichever is better for the output of its layer.

Nagel, Amjad, van Baalen, Louizos and Blankevoort, "Up or Down? Adaptive Rounding for Post-Training Quantization" (ICML 2020).
Rounding to nearest minimizes the error of the weights. AdaRound minimizes the error of the layer's output after the
activation, on inputs from the layers that are already quantized (equation 25). Each weight gets a soft rounding between its
two neighbouring integers (equations 22 and 23). Gradient descent and an annealed regularizer (equation 24) drive it to one of
them.

This implementation differs in two points. Outputs are compared at positions sampled from the feature maps. Both terms of the
loss are relative to the error of rounding to nearest, so that one regularization weight fits layers of any size.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.compression.quantization.layers_in_turn import layers_of, modify_in_order, single_batch
from pocketcnn.compression.quantization.placement import Placement, placements
from pocketcnn.compression.quantization.settings import AdaRoundSettings
from pocketcnn.compression.sampled_positions import SampledPositions, patches, sample_positions, values_at
from pocketcnn.graph import OPS, Graph, GraphNetwork, Node

ZETA, GAMMA = 1.1, -0.1
"""The sigmoid is stretched to this range and clamped to 0 … 1, so that it reaches both ends (equation 23)."""

SHARPNESS = (20.0, 2.0)
"""The exponent of the regularizer at the beginning and at the end."""

WARMUP_RATIO = 0.2
"""The share of the iterations without regularization."""

MAX_INPUTS, MIN_POSITIONS = 2**18, 32
"""Limits of one iteration: the largest number of input values read, and the smallest number of positions."""


def round_adaptively(
    graph: Graph, quantized: Graph, images: Tensor, settings: AdaRoundSettings, seed: int = 0
) -> Graph:
    """`quantized` with each weight rounded to the better of its two neighbouring integers.

    A layer keeps rounding to nearest if nothing better is found, or if it shares tensors with another layer.

    Args:
        graph: the float graph that `quantized` was made from.
        quantized: the quantized graph.
        images: (N, C, H, W), without labels.
        settings: iterations, samples and learning rate.
        seed: of sampled positions and batches.
    """
    images = single_batch(graph, images)
    layers = layers_of(quantized)
    random = torch.Generator().manual_seed(seed)
    positions = {layer.name: sample_positions(layer.shape, len(images), settings.samples, random) for layer in layers}
    target = _target_outputs(graph, positions, images)
    work = partial(_rounded, quantized, positions, target, settings, random)
    return modify_in_order(quantized, images, work)


def _target_outputs(graph: Graph, positions: dict[str, SampledPositions], images: Tensor) -> dict[str, Tensor]:
    """The outputs (P, N) of the float layers at the sampled positions."""
    found: dict[str, Tensor] = {}

    def watch(node: Node, value: Tensor) -> None:
        if node.name in positions:
            found[node.name] = values_at(value, positions[node.name])

    with torch.no_grad():
        GraphNetwork(graph).eval().run(images, watch)
    return found


def _rounded(
    quantized: Graph,
    positions: dict[str, SampledPositions],
    target: dict[str, Tensor],
    settings: AdaRoundSettings,
    random: torch.Generator,
    layer: Node,
    value: Tensor,
    tensors: dict[str, Tensor],
) -> dict[str, Tensor]:
    weight = tensors["weight"]
    fmt = quantized.numerics.weights[layer.tensors["weight"]]
    groups = layer.integer("groups") if layer.op == "conv2d" else 1
    scale = quantized.tensors[fmt.scale].reshape(groups, -1, 1)
    task = _Task(
        inputs=patches(layer, value, tuple(weight.shape), positions[layer.name]),
        target=target.pop(layer.name).reshape(-1, groups, len(weight) // groups),
        steps=weight.reshape(groups, len(weight) // groups, -1) / scale,
        scale=scale,
        bias=tensors["bias"].reshape(groups, -1) if "bias" in tensors else weight.new_zeros(()),
        max_integer=fmt.high,
        activation=_fused_activation(quantized, layer),
    )
    with torch.enable_grad():
        integers = _search(task, settings, random)
    return {"weight": (integers * scale).reshape(weight.shape)}


def _fused_activation(graph: Graph, layer: Node) -> Node | None:
    """The activation that is fused into the layer, if there is one."""
    return graph.users(layer.name)[0] if placements(graph)[layer.name] is Placement.FUSED else None


@dataclass(frozen=True)
class _Task:
    """A layer at P positions: inputs (P, G, K), target outputs (P, G, N/G), weights in units of their scale (G, N/G, K)."""

    inputs: Tensor
    target: Tensor
    steps: Tensor
    scale: Tensor
    bias: Tensor
    max_integer: int
    activation: Node | None

    def error(self, integers: Tensor, rows: Tensor | None = None) -> Tensor:
        """Mean square error of the layer's output with these integer weights, at the positions `rows` or at all."""
        inputs, target = (self.inputs, self.target) if rows is None else (self.inputs[rows], self.target[rows])
        weight = integers * self.scale
        if weight.shape[1] == 1:  # depthwise: batched tiny matrix products are several times slower
            made = (inputs * weight[:, 0]).sum(dim=2, keepdim=True) + self.bias
        else:
            made = torch.einsum("pgk,gnk->pgn", inputs, weight) + self.bias
        return (self._activated(made) - self._activated(target)).square().mean()

    def _activated(self, value: Tensor) -> Tensor:
        if self.activation is None:
            return value
        return OPS[self.activation.op].run(self.activation, [value], {}, False)


def _search(task: _Task, settings: AdaRoundSettings, random: torch.Generator) -> Tensor:
    """The best integers (G, N/G, K) that were found."""
    nearest = torch.round(task.steps).clamp(-task.max_integer, task.max_integer)
    least = task.error(nearest)
    if not least > 0:
        return nearest
    below = torch.floor(task.steps)
    variables = _inverse_soft(task.steps - below).requires_grad_()
    optimizer = torch.optim.Adam([variables], lr=settings.learning_rate)
    positions = len(task.inputs)
    batch = min(positions, settings.batch, max(MIN_POSITIONS, MAX_INPUTS // task.inputs[0].numel()))
    for iteration in range(settings.iterations):
        rows = torch.randint(positions, (batch,), generator=random)
        rounding = _soft(variables)
        loss = task.error((below + rounding).clamp(-task.max_integer, task.max_integer), rows) / least
        progress = (iteration / settings.iterations - WARMUP_RATIO) / (1 - WARMUP_RATIO)
        if progress > 0:
            sharp = SHARPNESS[1] + (SHARPNESS[0] - SHARPNESS[1]) * (1 - progress)
            loss = loss + settings.regularization * (1 - (2 * rounding - 1).abs().pow(sharp)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found = (below + (variables.detach() > 0)).clamp(-task.max_integer, task.max_integer)
    return found if task.error(found) < least else nearest


def _soft(free: Tensor) -> Tensor:
    """The soft rounding, 0 … 1, of each weight above its lower neighbour (equation 23)."""
    return (torch.sigmoid(free) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def _inverse_soft(share: Tensor) -> Tensor:
    """The variables whose soft rounding leaves the weights unchanged."""
    inside = F.relu(share - GAMMA) / (ZETA - GAMMA)
    return torch.logit(inside, eps=1e-6)
