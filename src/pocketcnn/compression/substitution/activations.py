"""Activations and norms that a target lacks, replaced by the nearest that it has, and scaled to be as large as they were."""

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
    """The nearest stand-in for `node` that the target has, or None."""
    for chain in REPLACEMENTS.get(node.op, ()):
        made = _links(node, chain)
        trial = _replaced(graph, node, made)
        if not any(lacks(trial, trial[link.name]) for link in made):
            return chain
    return None


def replace_activations(graph: Graph, chosen: Mapping[str, Chain], images: Tensor | None) -> tuple[Graph, list[Change]]:
    """Each node of `chosen` becomes its chain.

    The chain's result is brought to the old one's size by the least-squares factor of each channel over `images`
    (N, C, H, W), or over a standard normal distribution where there are none. The factor goes into the weights that read it;
    where it cannot, there is none.
    """
    wanted = {name: chain for name, chain in chosen.items() if _wants_a_factor(graph[name], chain, images)}
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


def _wants_a_factor(node: Node, chain: Chain, images: Tensor | None) -> bool:
    """Not where the stand-in is the very same function, nor where only images could tell."""
    same = node.op in ("hardsigmoid", "relu6") and chain[-1:] != () and chain[-1][0] == "clip"
    return not same and (bool(chain) or images is not None)


def _links(node: Node, chain: Chain) -> list[Node]:
    """The nodes of the chain; the last has the name of the old node, so that its readers need not change."""
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
    """Readers of `node` read its input."""
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
    """For each activation the factor (C,) that brings its stand-in nearest to it."""
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
    if node.tensors:  # the slopes of PReLU belong to channels
        values = values.expand(-1, node.shape[0])
    old = OPS[node.op].run(node, [values], graph.node_tensors(node), False)
    new = _run(links, values)
    return _ratio((old * new).sum(0), (new * new).sum(0)).expand(node.shape[0])


def _ratio(products: Tensor, squares: Tensor) -> Tensor:
    """product / square, and 1 for a channel that is never active or would turn its sign."""
    ratio = products / squares.clamp_min(EPSILON)
    return torch.where((squares > EPSILON) & (ratio > 0), ratio, torch.ones_like(ratio))
