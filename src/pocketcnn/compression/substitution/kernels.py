"""Replacement of large depthwise kernels by one or two 3x3 kernels, fitted by least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.compression.substitution.replacements import Change
from pocketcnn.compression.substitution.scaling import with_tensors
from pocketcnn.compression.substitution.statistics import value_statistics
from pocketcnn.graph import Graph, Node

KernelReplacement = Literal["pair", "single"]
"""``pair``: two 3x3 kernels with the receptive field of one 5x5. ``single``: one 3x3, smaller and cheaper."""

SMALL = 3
ROUNDS = 10
RIDGE = 1e-4
BLUR, EDGE = (0.25, 0.5, 0.25), (0.5, 0.0, -0.5)
STARTS = (((0.0, 1.0, 0.0), (0.0, 1.0, 0.0)), (BLUR, BLUR), (BLUR, EDGE), (EDGE, BLUR))
"""Initial kernels of the search for a pair, as outer products; each channel keeps its best result."""


@dataclass(frozen=True)
class Plan:
    """How one kernel is replaced."""

    node: Node
    size: int
    replacement: KernelReplacement


def plan_kernel(graph: Graph, node: Node, replacement: KernelReplacement) -> Plan | None:
    """How the depthwise convolution `node` can be replaced; None if it cannot.

    A pair needs a 5x5 kernel of stride 1. With a stride, its first kernel would run at full resolution and cost more than the
    5x5.
    """
    weight = graph.tensors[node.tensors["weight"]]
    size = int(weight.shape[2])
    pad = node.pair("padding")
    plain = weight.shape[2] == weight.shape[3] and size % 2 == 1 and node.pair("dilation") == (1, 1)
    shared = any(node.tensors["weight"] in other.tensors.values() for other in graph.nodes if other is not node)
    if not plain or size <= SMALL or shared or min(pad) < (size - SMALL) // 2:
        return None
    pairs = (
        replacement == "pair"
        and size == 5
        and node.pair("stride") == (1, 1)
        and weight.shape[0] == node.integer("groups")
    )
    return Plan(node, size, "pair" if pairs else "single")


def replace_kernels(graph: Graph, plans: Sequence[Plan], images: Tensor | None) -> tuple[Graph, list[Change]]:
    """Replace each planned kernel by one or two 3x3 kernels.

    They are fitted to the output on patches of `images` (N, C, H, W), or to the kernel itself without images.
    """
    moments = _patch_moments(graph, plans, images) if images is not None else {}
    changes = []
    for plan in plans:
        node = plan.node
        weight = graph.tensors[node.tensors["weight"]]
        kernels = weight.detach()[:, 0].flatten(1).double()  # (N, K·K)
        moment = moments.get(node.name, torch.eye(plan.size**2, dtype=torch.float64).expand(len(kernels), -1, -1))
        if len(moment) != len(kernels):  # channel multiplier: several kernels read one channel
            moment = moment.repeat_interleave(len(kernels) // len(moment), dim=0)
        was = f"conv2d {plan.size}x{plan.size} depthwise"
        if plan.replacement == "pair":
            first, second = factor_pair(kernels, moment)
            graph = _paired(graph, graph[node.name], first.to(weight), second.to(weight))
            changes.append(Change(node.name, was, "two conv2d 3x3 depthwise"))
        else:
            graph = _cropped(graph, graph[node.name], crop(kernels, moment, plan.size).to(weight))
            changes.append(Change(node.name, was, "conv2d 3x3 depthwise"))
    return graph, changes


def _patch_moments(graph: Graph, plans: Sequence[Plan], images: Tensor) -> dict[str, Tensor]:
    """Second moments (C, K·K, K·K) of the input patches of each kernel, scaled to a mean diagonal of 1."""
    sums: dict[str, Tensor] = {}

    def add(seen: Mapping[str, Tensor], _count: int) -> None:
        for plan in plans:
            node, value = plan.node, seen[plan.node.inputs[0]]
            patches = F.unfold(value, plan.size, padding=node.pair("padding"), stride=node.pair("stride"))
            patches = patches.reshape(len(value), value.shape[1], plan.size**2, -1)  # (N, C, K·K, positions)
            found = torch.einsum("ncip,ncjp->cij", patches, patches).double()
            sums[node.name] = sums[node.name] + found if node.name in sums else found

    if plans:
        value_statistics(graph, images, frozenset(plan.node.inputs[0] for plan in plans), add)
    return {name: _regular(total) for name, total in sums.items()}


def _regular(moment: Tensor) -> Tensor:
    size = moment.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp_min(1e-12)
    return moment / size + RIDGE * torch.eye(moment.shape[-1], dtype=moment.dtype)


def crop(kernels: Tensor, moment: Tensor, size: int) -> Tensor:
    """The 3x3 kernels (N, 1, 3, 3) with outputs nearest to those of `kernels` (N, K·K) on patches with second moments
    `moment`.

    For uncorrelated patches that is the centre of the kernel. For smooth ones the centre takes over what lay outside.
    """
    inside = torch.zeros(size, size, dtype=torch.bool)
    edge = (size - SMALL) // 2
    inside[edge : size - edge, edge : size - edge] = True
    chosen = inside.flatten()
    normal = moment[:, chosen][:, :, chosen]
    wanted = moment[:, chosen] @ kernels[:, :, None]
    found: Tensor = torch.linalg.solve(normal, wanted)
    return found.reshape(-1, 1, SMALL, SMALL)


def factor_pair(kernels: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Two consecutive 3x3 kernels (N, 1, 3, 3) whose composition is nearest to the 5x5 `kernels` (N, 25).

    By alternating least squares: with one kernel fixed, the output is linear in the other.
    """
    starts = [torch.outer(torch.tensor(down), torch.tensor(across)).double().flatten() for down, across in STARTS]
    pairs = [_alternate(start.expand(len(kernels), -1), kernels, moment) for start in starts]
    errors = torch.stack([_weighted_error(first, second, kernels, moment) for first, second in pairs])  # (starts, N)
    chosen = errors.argmin(0), torch.arange(len(kernels))
    first, second = _balanced(*(torch.stack(halves)[chosen] for halves in zip(*pairs, strict=True)))
    return first.reshape(-1, 1, SMALL, SMALL), second.reshape(-1, 1, SMALL, SMALL)


def _alternate(first: Tensor, kernels: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    second = _best_partner(first, kernels, moment)
    for _ in range(ROUNDS):
        first = _best_partner(second, kernels, moment)
        second = _best_partner(first, kernels, moment)
    return first, second


def _best_partner(fixed: Tensor, kernels: Tensor, moment: Tensor) -> Tensor:
    """The kernels (N, 9) that, composed with `fixed` (N, 9), are nearest to `kernels`."""
    composed = composition(fixed)  # (N, 25, 9)
    weighted = composed.transpose(1, 2) @ moment
    normal = weighted @ composed
    size = normal.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp_min(1e-12)
    normal = normal + 1e-9 * size * torch.eye(SMALL**2, dtype=normal.dtype)
    found: Tensor = torch.linalg.solve(normal, weighted @ kernels[:, :, None])
    return found[:, :, 0]


def composition(fixed: Tensor) -> Tensor:
    """The matrices (N, 25, 9) that map a 3x3 kernel to its composition with `fixed` (N, 9)."""
    result = fixed.new_zeros(len(fixed), 5, 5, SMALL, SMALL)
    square = fixed.reshape(-1, SMALL, SMALL)
    for row in range(SMALL):
        for column in range(SMALL):
            result[:, row : row + SMALL, column : column + SMALL, row, column] = square
    return result.reshape(len(fixed), 25, SMALL**2)


def _weighted_error(first: Tensor, second: Tensor, kernels: Tensor, moment: Tensor) -> Tensor:
    error = (composition(first) @ second[:, :, None])[:, :, 0] - kernels
    squares: Tensor = torch.einsum("ni,nij,nj->n", error, moment, error)
    return squares


def _balanced(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Scale both kernels to the same norm, so that one learning rate suits both."""
    sizes = first.norm(dim=1, keepdim=True).clamp_min(1e-12), second.norm(dim=1, keepdim=True).clamp_min(1e-12)
    ratio = (sizes[1] / sizes[0]).sqrt()
    return first * ratio, second / ratio


def _cropped(graph: Graph, node: Node, weight: Tensor) -> Graph:
    old = graph.tensors[node.tensors["weight"]].shape
    vertical, horizontal = node.pair("padding")
    less = (int(old[2]) - SMALL) // 2
    layer = replace(node, attrs={**node.attrs, "padding": (vertical - less, horizontal - less)})
    nodes = [layer if other.name == node.name else other for other in graph.nodes]
    return graph.rebuilt(nodes, tensors=with_tensors(graph, {node.tensors["weight"]: weight}))


def _paired(graph: Graph, node: Node, first: Tensor, second: Tensor) -> Graph:
    path, dot, leaf = node.tensors["weight"].rpartition(".")
    beside = f"{path}_first{dot}{leaf}" if path else f"{leaf}_first"
    vertical, horizontal = node.pair("padding")
    before = replace(
        node,
        name=f"{node.name}_first",
        attrs={**node.attrs, "padding": (1, 1)},
        tensors={"weight": beside},
    )
    after = replace(node, inputs=(before.name,), attrs={**node.attrs, "padding": (vertical - 1, horizontal - 1)})
    nodes = [made for other in graph.nodes for made in ([before, after] if other.name == node.name else [other])]
    return graph.rebuilt(nodes, tensors=with_tensors(graph, {beside: first, node.tensors["weight"]: second}))
