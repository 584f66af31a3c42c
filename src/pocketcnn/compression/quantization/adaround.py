"""Adaptive rounding: each weight goes to the integer below or above, whichever serves its layer's output.

Nagel, Amjad, van Baalen, Louizos and Blankevoort, "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML
2020. Rounding to nearest minimizes the error of the weights; what counts is the error of the output, after the
activation and on the inputs that the quantized layers before give (equation 25). Every weight gets a soft rounding
between its two neighbours (equations 22 and 23), which gradient descent and a regularization that grows sharper
(equation 24) push to one of them.

Two changes: a layer's output is compared at positions that are drawn from its maps, and the two terms of the loss are
in units of the error of rounding to nearest, so that one weight of the regularization serves layers of any size.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.compression.quantization.layers_in_turn import at_once, change_in_turn, layers_of
from pocketcnn.compression.quantization.placement import Placement, placements
from pocketcnn.compression.quantization.settings import AdaRoundSettings
from pocketcnn.compression.sampled_positions import SampledPositions, patches, sample_positions, values_at
from pocketcnn.graph import OPS, Graph, GraphNetwork, Node

ZETA, GAMMA = 1.1, -0.1
"""The sigmoid is stretched beyond 0 and 1 and cut there, so that it reaches both (equation 23)."""

SHARPNESS = (20.0, 2.0)
"""The exponent of the regularization at its beginning and at the end."""

FREE = 0.2
"""The share of the iterations without regularization."""

MOST_INPUTS, LEAST_PLACES = 2**18, 32
"""Numbers that one iteration reads of a layer's inputs, at most, and yet so many places: filters of few weights need few."""


def round_adaptively(
    graph: Graph, quantized: Graph, images: Tensor, settings: AdaRoundSettings, seed: int = 0
) -> Graph:
    """`quantized` with each weight on the better one of its neighbouring integers. `graph` is its float form.

    A layer keeps the nearest integers where others are no better, or where it shares tensors with another layer.
    """
    images = at_once(graph, images)
    layers = layers_of(quantized)
    random = torch.Generator().manual_seed(seed)
    places = {layer.name: sample_positions(layer.shape, len(images), settings.samples, random) for layer in layers}
    wanted = _wanted(graph, places, images)
    work = partial(_rounded, quantized, places, wanted, settings, random)
    return change_in_turn(quantized, images, work)


def _wanted(graph: Graph, places: dict[str, SampledPositions], images: Tensor) -> dict[str, Tensor]:
    """The outputs (P, N) of the float layers at their places."""
    found: dict[str, Tensor] = {}

    def watch(node: Node, value: Tensor) -> None:
        if node.name in places:
            found[node.name] = values_at(value, places[node.name])

    with torch.no_grad():
        GraphNetwork(graph).eval().run(images, watch)
    return found


def _rounded(
    quantized: Graph,
    places: dict[str, SampledPositions],
    wanted: dict[str, Tensor],
    settings: AdaRoundSettings,
    random: torch.Generator,
    layer: Node,
    value: Tensor,
    tensors: dict[str, Tensor],
) -> dict[str, Tensor]:
    weight = tensors["weight"]
    form = quantized.numerics.weights[layer.tensors["weight"]]
    groups = layer.integer("groups") if layer.op == "conv2d" else 1
    scale = quantized.tensors[form.scale].reshape(groups, -1, 1)
    task = _Task(
        inputs=patches(layer, value, tuple(weight.shape), places[layer.name]),
        wanted=wanted.pop(layer.name).reshape(-1, groups, len(weight) // groups),
        steps=weight.reshape(groups, len(weight) // groups, -1) / scale,
        scale=scale,
        bias=tensors["bias"].reshape(groups, -1) if "bias" in tensors else weight.new_zeros(()),
        most=form.high,
        activation=_fused_activation(quantized, layer),
    )
    with torch.enable_grad():
        integers = _search(task, settings, random)
    return {"weight": (integers * scale).reshape(weight.shape)}


def _fused_activation(graph: Graph, layer: Node) -> Node | None:
    """The activation that works on the layer's accumulator."""
    return graph.users(layer.name)[0] if placements(graph)[layer.name] is Placement.FUSED else None


@dataclass(frozen=True)
class _Task:
    """A layer at P places: inputs (P, G, K), wanted outputs (P, G, N/G), weights in steps of their scale (G, N/G, K)."""

    inputs: Tensor
    wanted: Tensor
    steps: Tensor
    scale: Tensor
    bias: Tensor
    most: int
    activation: Node | None

    def error(self, integers: Tensor, rows: Tensor | None = None) -> Tensor:
        """Mean square error of the layer's output with these weights, at the places `rows` or at all."""
        inputs, wanted = (self.inputs, self.wanted) if rows is None else (self.inputs[rows], self.wanted[rows])
        weight = integers * self.scale
        if weight.shape[1] == 1:  # depthwise: so many tiny matrix products would take several times as long
            made = (inputs * weight[:, 0]).sum(dim=2, keepdim=True) + self.bias
        else:
            made = torch.einsum("pgk,gnk->pgn", inputs, weight) + self.bias
        return (self._activated(made) - self._activated(wanted)).square().mean()

    def _activated(self, value: Tensor) -> Tensor:
        if self.activation is None:
            return value
        return OPS[self.activation.op].run(self.activation, [value], {}, False)


def _search(task: _Task, settings: AdaRoundSettings, random: torch.Generator) -> Tensor:
    """The integers (G, N/G, K) with the least error that was found."""
    nearest = torch.round(task.steps).clamp(-task.most, task.most)
    least = task.error(nearest)
    if not least > 0:
        return nearest
    below = torch.floor(task.steps)
    free = _inverse_soft(task.steps - below).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=settings.learning_rate)
    places = len(task.inputs)
    batch = min(places, settings.batch, max(LEAST_PLACES, MOST_INPUTS // task.inputs[0].numel()))
    for iteration in range(settings.iterations):
        rows = torch.randint(places, (batch,), generator=random)
        share = _soft(free)
        loss = task.error((below + share).clamp(-task.most, task.most), rows) / least
        progress = (iteration / settings.iterations - FREE) / (1 - FREE)
        if progress > 0:
            sharp = SHARPNESS[1] + (SHARPNESS[0] - SHARPNESS[1]) * (1 - progress)
            loss = loss + settings.regularization * (1 - (2 * share - 1).abs().pow(sharp)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found = (below + (free.detach() > 0)).clamp(-task.most, task.most)
    return found if task.error(found) < least else nearest


def _soft(free: Tensor) -> Tensor:
    """The share, 0 … 1, by which a weight is above its lower neighbour (equation 23)."""
    return (torch.sigmoid(free) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def _inverse_soft(share: Tensor) -> Tensor:
    """The variables whose soft rounding leaves the weights as they are."""
    inside = F.relu(share - GAMMA) / (ZETA - GAMMA)
    return torch.logit(inside, eps=1e-6)
