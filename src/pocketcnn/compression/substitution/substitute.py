"""`substitute`: adapt a network to a target, so that the target runs all of it."""

from typing import get_args

from torch import Tensor

from pocketcnn.compression.substitution.activations import nearest_supported, replace_activations
from pocketcnn.compression.substitution.gates import drop_gates, gate_of
from pocketcnn.compression.substitution.kernels import KernelReplacement, plan_kernel, replace_kernels
from pocketcnn.compression.substitution.replacements import Change, Substitution
from pocketcnn.compression.substitution.statistics import refresh_statistics
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, Node
from pocketcnn.targets.check import describe_op
from pocketcnn.targets.matching import check_patterns, first_match, is_depthwise
from pocketcnn.targets.target import Target, load_target


def substitute(
    network: GraphNetwork, target: str | Target, images: Tensor | None = None, *, kernels: KernelReplacement = "pair"
) -> Substitution:
    """Replace every operation that `target` does not support by the nearest supported one, without training.

    The multiplication of squeeze-and-excite becomes the average of its gate. Large depthwise kernels become 3x3. Activations
    become the nearest supported ones (`replacements.REPLACEMENTS`). Batch-norm statistics are recalibrated. Distillation from
    the original network recovers the accuracy: `pocketcnn.distil(result.network, network, …)`.

    Args:
        network: a captured float network; it is not changed.
        target: its name, its .toml file, or a `Target`.
        images: (N, C, H, W), preprocessed for the network. Some hundred improve the result considerably.
        kernels: the replacement of a 5x5 depthwise kernel of stride 1.

    Raises:
        UsageError: the network is quantized, or the target names an unknown operation.
    """
    wanted = target if isinstance(target, Target) else load_target(target)
    if network.numerics:
        raise UsageError("This network is already quantized. Adapt the original float network instead.")
    if kernels not in get_args(KernelReplacement):
        raise UsageError(f"`kernels` must be one of {', '.join(get_args(KernelReplacement))}, not {kernels!r}.")
    check_patterns(wanted.lacks, wanted.name)
    graph, changes = _adapted(network.graph.rebuilt(), wanted, images, kernels)
    made = GraphNetwork(graph, network.info)
    if changes and images is not None:
        refresh_statistics(made, images)
    left = tuple((node.name, describe_op(graph, node)) for node in graph.nodes if _lacks(wanted, graph, node))
    return Substitution(made, tuple(changes), left)


def _adapted(
    graph: Graph, target: Target, images: Tensor | None, replacement: KernelReplacement
) -> tuple[Graph, list[Change]]:
    """The passes. Gates come first: without them, activation factors can be multiplied into the next weights."""
    gated = [node for node in graph.nodes if _lacks(target, graph, node) and gate_of(graph, node)]
    graph, changes = drop_gates(graph, gated, images)
    large = [node for node in graph.nodes if is_depthwise(graph, node) and _lacks(target, graph, node)]
    plans = [plan for node in large if (plan := plan_kernel(graph, node, replacement)) is not None]
    graph, more = replace_kernels(graph, plans, images)
    changes += more
    lacking = [node for node in graph.nodes if _lacks(target, graph, node)]
    chains = {
        node.name: nearest_supported(graph, node, lambda where, what: _lacks(target, where, what)) for node in lacking
    }
    chosen = {name: chain for name, chain in chains.items() if chain is not None}
    graph, more = replace_activations(graph, chosen, images)
    return graph, [*changes, *more]


def _lacks(target: Target, graph: Graph, node: Node) -> bool:
    return node.op != "input" and first_match(target.lacks, graph, node) is not None
