"""Passes for inference: removal of dropout, folding of batch normalization into convolutions, merging of parallel branches."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Attr, Node
from pocketcnn.graph.passes.merge_branches import merge_branches


def for_inference(graph: Graph) -> Graph:
    """Remove dropout, fold batch normalization, and merge parallel branches; the function in eval mode stays the same."""
    return merge_branches(fold_batch_norm(drop_dropout(graph)))


def drop_dropout(graph: Graph) -> Graph:
    """Remove dropout, which is the identity at inference."""
    skipped = {node.name: node.inputs[0] for node in graph.nodes if node.op == "dropout"}
    return _bypass(graph, graph.nodes, graph.tensors, skipped) if skipped else graph


def fold_batch_norm(graph: Graph) -> Graph:
    """Fold each batch normalization into the convolution or linear layer before it, if it is the layer's only reader.

    Any other batch normalization (before an activation, after a concat) becomes a 1x1 depthwise convolution, which every
    runtime and the integer arithmetic support.
    """
    return _folded(graph, others=True)


def absorb_batch_norm(graph: Graph) -> Graph:
    """Fold each batch normalization that follows a convolution or linear layer; leave any other unchanged."""
    return _folded(graph, others=False)


def _folded(graph: Graph, *, others: bool) -> Graph:
    tensors: dict[str, Tensor] = dict(graph.tensors)
    changed: dict[str, Node] = {}
    skipped: dict[str, str] = {}
    for node in graph.nodes:
        if node.op != "batch_norm":
            continue
        source, (scale, offset) = graph[node.inputs[0]], _scale_and_offset(node, graph.tensors)
        if _absorbs(graph, source):
            changed[source.name] = _absorb(source, scale, offset, tensors)
            skipped[node.name] = source.name
        elif others and len(node.shape) == 3:
            changed[node.name] = _as_depthwise(node, scale, offset, tensors)
    if not changed:
        return graph
    return _bypass(graph, [changed.get(node.name, node) for node in graph.nodes], tensors, skipped)


def _absorbs(graph: Graph, source: Node) -> bool:
    if source.op not in ("conv2d", "linear") or len(graph.users(source.name)) != 1:
        return False
    held = set(source.tensors.values())
    return not any(held & set(node.tensors.values()) for node in graph.nodes if node is not source)


def _scale_and_offset(node: Node, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """gamma / sqrt(var + eps) and beta - mean · that, in double precision."""
    mean, variance = (tensors[node.tensors[role]] for role in ("running_mean", "running_var"))
    if mean.is_meta:  # only shapes matter, and operations on meta tensors are slow
        return mean, mean
    mean, variance = mean.double(), variance.double()
    scale = torch.rsqrt(variance + node.number("eps"))
    if "weight" in node.tensors:
        scale = scale * tensors[node.tensors["weight"]].double()
    offset = -mean * scale
    if "bias" in node.tensors:
        offset = offset + tensors[node.tensors["bias"]].double()
    return scale, offset


def _absorb(source: Node, scale: Tensor, offset: Tensor, tensors: dict[str, Tensor]) -> Node:
    weight = tensors[source.tensors["weight"]]
    bias_name = source.tensors.get("bias") or _bias_name(source, tensors)
    if not weight.is_meta:
        if "bias" in source.tensors:
            offset = offset + tensors[source.tensors["bias"]].double() * scale
        rows = scale.reshape(-1, *(1,) * (weight.ndim - 1))
        tensors[source.tensors["weight"]] = (weight.double() * rows).to(weight.dtype)
        offset = offset.to(weight.dtype)
    tensors[bias_name] = offset
    return replace(source, tensors={**source.tensors, "bias": bias_name})


def _bias_name(source: Node, tensors: Mapping[str, Tensor]) -> str:
    """``path.bias`` for ``path.weight``, with a suffix if that name is in use."""
    path, dot, leaf = source.tensors["weight"].rpartition(".")
    name = f"{path}{dot}bias" if leaf == "weight" else f"{path}{dot}{leaf}_bias"
    while name in tensors:
        name += "_"
    return name


def _as_depthwise(node: Node, scale: Tensor, offset: Tensor, tensors: dict[str, Tensor]) -> Node:
    path = node.tensors["running_mean"].removesuffix(".running_mean")
    dtype = tensors[node.tensors["running_mean"]].dtype
    names = {"weight": f"{path}.weight", "bias": f"{path}.bias"}
    tensors[names["weight"]] = scale.to(dtype).reshape(-1, 1, 1, 1)
    tensors[names["bias"]] = offset.to(dtype)
    attrs: dict[str, Attr] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": node.shape[0]}
    return replace(node, op="conv2d", attrs=attrs, tensors=names)


def _bypass(graph: Graph, nodes: Iterable[Node], tensors: Mapping[str, Tensor], skipped: Mapping[str, str]) -> Graph:
    """The graph with new nodes and tensors; readers of a skipped node read its replacement instead."""

    def target(name: str) -> str:
        while name in skipped:
            name = skipped[name]
        return name

    kept = [replace(node, inputs=tuple(map(target, node.inputs))) for node in nodes if node.name not in skipped]
    return graph.rebuilt(kept, tensors=tensors, output=target(graph.output))
