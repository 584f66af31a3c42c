"""`substitute`: make a network over, so that a target runs all of it."""

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
    """`network` with every operation that `target` lacks replaced by what it has, as near to it as can be without training.

    The multiply of squeeze-and-excite is dropped for the average of its gate, large depthwise kernels become 3x3, and
    activations the nearest that the target has (`table.STAND_INS`); batch norm is estimated anew. What is lost comes back with
    training: `pocketcnn.distil(result.network, network, …)`.

    Args:
        network: a float network; it is not changed.
        images: (N, C, H, W), prepared as the network wants them: some hundred make the start much better.
        kernels: what a 5x5 depthwise kernel of stride 1 becomes.

    Raises:
        UsageError: the network is quantized, or the target speaks of operations that there are not.
    """
    wanted = target if isinstance(target, Target) else load_target(target)
    if network.numerics:
        raise UsageError("This network is quantized already. Make over the float network that it was made from.")
    if kernels not in get_args(KernelReplacement):
        raise UsageError(
            f"A depthwise kernel becomes one of {', '.join(get_args(KernelReplacement))}, not {kernels!r}."
        )
    check_patterns(wanted.lacks, wanted.name)
    graph, changes = _made_over(network.graph.rebuilt(), wanted, images, kernels)
    made = GraphNetwork(graph, network.info)
    if changes and images is not None:
        refresh_statistics(made, images)
    left = tuple((node.name, describe_op(graph, node)) for node in graph.nodes if _lacks(wanted, graph, node))
    return Substitution(made, tuple(changes), left)


def _made_over(
    graph: Graph, target: Target, images: Tensor | None, form: KernelReplacement
) -> tuple[Graph, list[Change]]:
    """The passes, gates first: without them, factors of activations can go into the weights behind."""
    gated = [node for node in graph.nodes if _lacks(target, graph, node) and gate_of(graph, node)]
    graph, changes = drop_gates(graph, gated, images)
    large = [node for node in graph.nodes if is_depthwise(graph, node) and _lacks(target, graph, node)]
    plans = [plan for node in large if (plan := plan_kernel(graph, node, form)) is not None]
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
