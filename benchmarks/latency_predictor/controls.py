"""What the predictor is compared with: simpler ways to tell how long a network takes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pocketcnn.graph import Graph, Node
from pocketcnn.targets.latency.kernels import Kernel, KernelGroup, split

WORK = {
    "linear in MAdds": ("madds",),
    "linear in MAdds and values moved": ("madds", "moved"),
}


def amounts(graph: Graph) -> dict[str, float]:
    """Multiply-adds, and elements read, written and of weights, of a graph at inference."""
    kernels = [group.kernel for group in split(graph)]
    return {
        "madds": float(sum(kernel.madds for kernel in kernels)),
        "moved": float(sum(kernel.read + kernel.written + kernel.weights for kernel in kernels)),
    }


def leave_one_out(rows: Sequence[Mapping[str, float]], names: Sequence[str], seconds: Sequence[float]) -> list[float]:
    """For each network its time by rates that were fitted, for the least relative error, to all the other networks.

    That is generous: rates that a user has were fitted to fewer networks, and to less similar ones.
    """
    times = np.array(seconds)
    design = np.array([[1.0, *(row[name] for name in names)] for row in rows])
    found = []
    for left in range(len(times)):
        others = np.arange(len(times)) != left
        scaled = design[others] / times[others, None]
        scale = np.abs(scaled).max(0)
        coefficients = np.linalg.lstsq(scaled / scale, np.ones(others.sum()), rcond=None)[0] / scale
        found.append(float(max(design[left] @ coefficients, 1e-9)))
    return found


def lone(graph: Graph, group: KernelGroup) -> Graph | None:
    """A kernel of a graph as a network of its own, or None where that has two inputs of different shapes."""
    members = set(group.nodes)
    outside = [name for node in group.nodes for name in graph[node].inputs if name not in members]
    outside = [name for name in outside if graph[name].op != "constant"]
    if group.kernel.kind == "input" or len({graph[name].shape for name in outside}) != 1:
        return None
    image = Node("alone", "input", (), graph[outside[0]].shape)
    constants = [graph[name] for node in group.nodes for name in graph[node].inputs if graph[name].op == "constant"]
    nodes = [image, *constants]
    for name in group.nodes:
        node = graph[name]
        inputs = tuple(i if i in members or graph[i].op == "constant" else "alone" for i in node.inputs)
        nodes.append(replace(node, inputs=inputs))
    if len(image.shape) != 3:
        return None
    return replace(graph, nodes=tuple(nodes)).rebuilt(output=group.nodes[-1])


def lone_kernels(graphs: Sequence[Graph]) -> dict[Kernel, Graph]:
    """Every kernel of some graphs that can be a network of its own."""
    found: dict[Kernel, Graph] = {}
    for graph in graphs:
        for group in split(graph):
            if group.kernel not in found and (alone := lone(graph, group)) is not None:
                found[group.kernel] = alone
    return found


def sum_of_lone(graph: Graph, times: Mapping[Kernel, float]) -> float:
    """The sum of the times that the kernels of a graph take alone; those that cannot be alone count nothing."""
    return sum(count * times.get(kernel, 0.0) for kernel, count in Counter(g.kernel for g in split(graph)).items())
