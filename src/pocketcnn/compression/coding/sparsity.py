"""Weight sparsity: single weights are set to zero. It saves no multiply-adds; the entropy-coded file gets smaller.

The zeros in the weights are the mask. A model file stores them, and further training keeps them inside `zeros_kept`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork

WEIGHTED = frozenset({"conv2d", "linear"})
Scope = Literal["global", "layer"]


@dataclass(frozen=True)
class Unstructured:
    """The smallest weights by magnitude, a `share` of all, are zero.

    Han et al., "Learning both Weights and Connections for Efficient Neural Networks" (2015), rank them layer by layer. With
    scope ``global`` they are ranked together, relative to the root mean square of their layer, so that layers with small
    weights are not pruned first.
    """

    share: float
    scope: Scope = "global"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UsageError(f"The sparsity must be the share of zero weights, between 0 and 1, not {self.share}.")

    def __str__(self) -> str:
        return f"{self.share:g}"


@dataclass(frozen=True)
class Pattern:
    """N:M sparsity: of every `group` weights along the input channels of a filter, at most `kept`, the largest, are non-zero.

    Mishra et al., "Accelerating Sparse Deep Neural Networks" (2021), section 3: 2:4. A layer with fewer than `group` inputs
    per filter, such as a depthwise convolution, stays dense.
    """

    kept: int
    group: int

    def __post_init__(self) -> None:
        if not 1 <= self.kept < self.group:
            raise UsageError(
                f"A pattern N:M keeps N of M weights with 1 <= N < M; {self.kept}:{self.group} is not valid."
            )

    def __str__(self) -> str:
        return f"{self.kept}:{self.group}"


Sparsity = Unstructured | Pattern


def parse_sparsity(text: str) -> Sparsity:
    """Parse ``2:4``, ``0.8`` or ``80%``.

    Raises:
        UsageError: the text has none of these forms, or a number is out of range.
    """
    try:
        if ":" in text:
            kept, group = (int(part) for part in text.split(":"))
            return Pattern(kept, group)
        return Unstructured(float(text.removesuffix("%")) / (100 if text.endswith("%") else 1))
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a sparsity. Write a share such as 0.8 or 80%, or a pattern such as 2:4."
        ) from error


def sparsify(network: GraphNetwork, sparsity: str | Sparsity) -> GraphNetwork:
    """A copy of a float network with zeros among the weights of its convolutions and linear layers.

    Args:
        network: a captured float network.
        sparsity: see `parse_sparsity`.

    Raises:
        UsageError: the network is quantized, or the sparsity is not valid.
    """
    wanted = parse_sparsity(sparsity) if isinstance(sparsity, str) else sparsity
    graph = network.graph
    if graph.numerics:
        raise UsageError("This network is already quantized. Sparsify the float network, then quantize it.")
    names = weight_names(graph)
    weights = {name: graph.tensors[name].detach() for name in names}
    if isinstance(wanted, Pattern):
        zeroed = {name: _patterned(weight, wanted) for name, weight in weights.items()}
    else:
        zeroed = _smallest_zeroed(weights, wanted)
    zeroed = {
        name: weight + 0.0 for name, weight in zeroed.items()
    }  # turns -0 into 0: the entropy coder treats them as two values
    sparse = graph.rebuilt(tensors={**graph.tensors, **zeroed})
    return GraphNetwork(sparse, network.info).train(network.training)


def weight_names(graph: Graph) -> list[str]:
    """The weights of convolutions and linear layers, each once."""
    return list(dict.fromkeys(node.tensors["weight"] for node in graph.nodes if node.op in WEIGHTED))


def zero_share(graph: Graph) -> float:
    """The share of zeros among the weights of convolutions and linear layers, 0 to 1."""
    weights = [graph.tensors[name] for name in weight_names(graph)]
    return sum(int((weight == 0).sum()) for weight in weights) / max(1, sum(weight.numel() for weight in weights))


@contextmanager
def zeros_kept(network: nn.Module) -> Iterator[None]:
    """Inside, weights of `network` that are zero stay zero during training.

    Their gradients are set to zero; momentum and weight decay of a zero weight are zero too.
    """
    hooks = []
    for parameter in network.parameters():
        alive = parameter.detach() != 0
        if parameter.requires_grad and parameter.ndim > 1 and not bool(alive.all()):
            hooks.append(parameter.register_hook(partial(torch.mul, alive)))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _smallest_zeroed(weights: dict[str, Tensor], wanted: Unstructured) -> dict[str, Tensor]:
    scored = {name: weight.abs() / weight.square().mean().sqrt().clamp_min(1e-30) for name, weight in weights.items()}
    if wanted.scope == "layer":
        return {name: weight * _largest(scored[name], wanted.share) for name, weight in weights.items()}
    all_scores = torch.cat([scores.flatten() for scores in scored.values()])
    kept = torch.split(_largest(all_scores, wanted.share), [weight.numel() for weight in weights.values()])
    return {name: weight * mask.view_as(weight) for (name, weight), mask in zip(weights.items(), kept, strict=True)}


def _largest(scores: Tensor, share: float) -> Tensor:
    """A mask of `scores` that drops exactly the smallest `share`; of equal scores the earlier ones are dropped."""
    gone = scores.flatten().sort(stable=True).indices[: round(share * scores.numel())]
    mask = torch.ones(scores.numel(), dtype=scores.dtype, device=scores.device)
    mask[gone] = 0
    return mask.view_as(scores)


def _patterned(weight: Tensor, pattern: Pattern) -> Tensor:
    """Keep the largest `kept` of every `group` of a weight (N, C/G, …) along axis 1; the last group may be shorter."""
    inputs = weight.shape[1]
    if inputs < pattern.group:
        return weight
    rows = weight.movedim(1, -1)  # (N, …, C/G)
    short = -inputs % pattern.group
    padded = nn.functional.pad(rows, (0, short)).reshape(*rows.shape[:-1], -1, pattern.group)
    chosen = padded.abs().topk(pattern.kept, dim=-1).indices
    mask = torch.zeros_like(padded).scatter_(-1, chosen, 1.0)
    kept: Tensor = (padded * mask).flatten(-2)[..., :inputs]
    return kept.movedim(-1, 1).contiguous()
