"""Replacement of unsupported activations and norms by the nearest supported ones, rescaled to the old magnitude."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pocketcnn.compression.substitution.replacements import REPLACEMENTS, Chain, Change
from pocketcnn.compression.substitution.scaling import normal_values, scaled_readers, with_tensors
from pocketcnn.compression.substitution.statistics import value_statistics
from pocketcnn.graph import OPS, Graph, Node

Lacks = Callable[[Graph, Node], bool]
EPSILON = 1e-30


def nearest_supported(graph: Graph, node: Node, lacks: Lacks) -> Chain | None:
    """The nearest replacement of `node` that the target supports; None if there is none."""
    for chain in REPLACEMENTS.get(node.op, ()):
        made = _links(node, chain)
        trial = _replaced(graph, node, made)
        if not any(lacks(trial, trial[link.name]) for link in made):
            return chain
    return None


def replace_activations(graph: Graph, chosen: Mapping[str, Chain], images: Tensor | None) -> tuple[Graph, list[Change]]:
    """Replace each node of `chosen` by its chain of operations.

    The output is scaled by the least-squares factor of each channel over `images` (N, C, H, W), or over a standard normal
    distribution without images. The factor is multiplied into the next weights. If that is not possible, no factor is used.
    """
    wanted = {name: chain for name, chain in chosen.items() if _needs_factor(graph[name], chain, images)}
    factors = _factors(graph, wanted, images)
    changes = []
    for name, chain in chosen.items():
        node = graph[name]
        links = _links(node, chain)
        scaled = scaled_readers(graph, name, factors[name]) if name in factors else None
        graph = _replaced(graph, node, links)
        if scaled is not None:
            graph = graph.rebuilt(tensors=with_tensors(graph, scaled))
        now = " + ".join(link.op for link in links) or "left out"
        size = f", times {float(factors[name].mean()):.2f} in the next weights" if scaled is not None else ""
        changes.append(Change(name, node.op, now + size))
    return graph, changes


def _needs_factor(node: Node, chain: Chain, images: Tensor | None) -> bool:
    """No factor if the replacement is the same function, or if only images could determine it."""
    same = node.op in ("hardsigmoid", "relu6") and chain[-1:] != () and chain[-1][0] == "clip"
    return not same and (bool(chain) or images is not None)


def _links(node: Node, chain: Chain) -> list[Node]:
    """The nodes of the chain; the last has the name of the old node, so that its readers stay unchanged."""
    names = [f"{node.name}/{op}" for op, _ in chain[:-1]] + [node.name] * bool(chain)
    sources = [node.inputs[0], *names[:-1]]
    return [
        Node(name, op, (source,), node.shape, dict(attrs))
        for name, source, (op, attrs) in zip(names, sources, chain, strict=False)
    ]


def _replaced(graph: Graph, node: Node, links: Sequence[Node]) -> Graph:
    if not links:
        return _left_out(graph, node)
    nodes = [link for other in graph.nodes for link in (links if other.name == node.name else [other])]
    return graph.rebuilt(nodes)


def _left_out(graph: Graph, node: Node) -> Graph:
    """Make the readers of `node` read its input."""
    source = node.inputs[0]
    nodes = [
        replace(other, inputs=tuple(source if name == node.name else name for name in other.inputs))
        for other in graph.nodes
        if other.name != node.name
    ]
    return graph.rebuilt(nodes, output=source if graph.output == node.name else graph.output)


def _run(links: Sequence[Node], value: Tensor) -> Tensor:
    for link in links:
        value = OPS[link.op].run(link, [value], {}, False)
    return value


def _factors(graph: Graph, chosen: Mapping[str, Chain], images: Tensor | None) -> dict[str, Tensor]:
    """For each activation, the factor (C,) that brings its replacement nearest to it."""
    links = {name: _links(graph[name], chain) for name, chain in chosen.items()}
    if images is None:
        return {name: _factor_without_images(graph, graph[name], made) for name, made in links.items()}
    products: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}

    def add(seen: Mapping[str, Tensor], _count: int) -> None:
        for name, made in links.items():
            old, new = seen[name], _run(made, seen[graph[name].inputs[0]])
            axes = [axis for axis in range(old.ndim) if axis != 1]
            products[name] = products.get(name, torch.zeros(())) + (old * new).sum(axes)
            squares[name] = squares.get(name, torch.zeros(())) + (new * new).sum(axes)

    if links:
        value_statistics(graph, images, frozenset(links) | {graph[name].inputs[0] for name in links}, add)
    return {name: _ratio(products[name], squares[name]) for name in links}


def _factor_without_images(graph: Graph, node: Node, links: Sequence[Node]) -> Tensor:
    values = normal_values()[:, None]
    if node.tensors:  # PReLU has a slope per channel
        values = values.expand(-1, node.shape[0])
    old = OPS[node.op].run(node, [values], graph.node_tensors(node), False)
    new = _run(links, values)
    return _ratio((old * new).sum(0), (new * new).sum(0)).expand(node.shape[0])


def _ratio(products: Tensor, squares: Tensor) -> Tensor:
    """products / squares; 1 for a channel that is never active or would change its sign."""
    ratio = products / squares.clamp_min(EPSILON)
    return torch.where((squares > EPSILON) & (ratio > 0), ratio, torch.ones_like(ratio))
