"""Pass that merges parallel linear branches into one convolution, as the authors of RepVGG and MobileOne deploy their networks.

It looks at the operations only, so that it holds for the networks of any author, and for those that a user wrote.
"""

from dataclasses import replace

import torch
from torch import Tensor

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.passes.linear_branches import Branch, convolution, identity, total


def merge_branches(graph: Graph) -> Graph:
    """Replace sums and differences of convolutions of one value by one convolution; the function stays the same.

    Branches are convolutions of any kernel, stride and groups, the value itself, and their products with a number per channel.
    A sum is merged only where the one convolution takes no more multiply-adds than its branches, and where no other operation
    reads a branch. Batch normalization must have been folded before (`fold_batch_norm`). A quantized graph stays as it is,
    because its scales belong to its layers.
    """
    if graph.numerics:
        return graph
    return _Merging(graph).result()


class _Merging:
    """The branches of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.branches: dict[str, Branch] = {}
        for node in graph.nodes:
            found = self._branch(node) if len(node.shape) == 3 else None
            if found is not None:
                self.branches[node.name] = found

    def result(self) -> Graph:
        """The graph with every largest sum as one convolution."""
        tensors, changed = dict(self.graph.tensors), dict[str, Node]()
        for node in self.graph.nodes:
            branch = self.branches.get(node.name)
            if branch is not None and branch.merged and not self._within_a_larger_sum(node):
                changed[node.name] = self._written(node, branch, tensors)
        if not changed:
            return self.graph
        return self.graph.rebuilt([changed.get(node.name, node) for node in self.graph.nodes], tensors=tensors)

    def _private(self, name: str) -> bool:
        """Whether one operation alone reads the value."""
        return name != self.graph.output and len(self.graph.users(name)) == 1

    def _within_a_larger_sum(self, node: Node) -> bool:
        """Whether the one reader of the value is a branch that already contains it."""
        if not self._private(node.name):
            return False
        reader = self.branches.get(self.graph.users(node.name)[0].name)
        return reader is not None and reader.merged and reader.source != node.name

    def _read(self, name: str) -> Branch:
        """The value `name` as a branch: what computes it if no other operation reads it, else the value itself."""
        found = self.branches.get(name)
        if found is not None and self._private(name):
            return found
        return identity(name, self.graph[name].shape[0], self._device())

    def _device(self) -> torch.device:
        return next((tensor.device for tensor in self.graph.tensors.values()), torch.device("cpu"))

    def _branch(self, node: Node) -> Branch | None:
        match node.op:
            case "conv2d":
                own = convolution(self.graph, node)
                inner = self._read(node.inputs[0])
                if inner.merged and _is_per_channel(own):
                    return replace(
                        inner.scaled(own.weight.reshape(-1), own.bias), madds=inner.madds + own.madds, merged=True
                    )
                return own
            case "affine":
                numbers = (torch.tensor([node.number(name)]).double() for name in ("scale", "offset"))
                scale, offset = (number.to(self._device()) for number in numbers)
                return self._read(node.inputs[0]).scaled(scale, offset)
            case "mul":
                return self._product(node)
            case "add" | "sub":
                return self._sum(node)
        return None

    def _sum(self, node: Node) -> Branch | None:
        if len(set(node.inputs)) != 2 or any(shape != node.shape for shape in self.graph.input_shapes(node)):
            return None
        first, second = (self._read(name) for name in node.inputs)
        if node.op == "sub":
            minus = torch.tensor([-1.0], dtype=torch.float64, device=self._device())
            second = second.scaled(minus, 0 * minus)
        return total(first, second, self.graph[first.source].shape, node.shape)

    def _product(self, node: Node) -> Branch | None:
        """The product of a value and a constant with one number per channel, such as a layer scale."""
        for name, factor in (node.inputs, node.inputs[::-1]):
            constant = self.graph[factor]
            fits = constant.op == "constant" and constant.shape[1:] == (1, 1)
            if fits and self.graph[name].shape == node.shape:
                value = self.graph.tensors[constant.tensors["value"]].reshape(-1)
                return self._read(name).scaled(value.double(), torch.zeros_like(value).double())
        return None

    def _written(self, node: Node, branch: Branch, tensors: dict[str, Tensor]) -> Node:
        names = self._names(node, branch)
        dtype = next(t.dtype for t in self.graph.tensors.values() if t.is_floating_point())
        tensors[names["weight"]], tensors[names["bias"]] = branch.weight.to(dtype), branch.bias.to(dtype)
        return replace(node, op="conv2d", inputs=(branch.source,), attrs=branch.attrs, tensors=names)

    def _names(self, node: Node, branch: Branch) -> dict[str, str]:
        """The names of the largest convolution's tensors; new ones if it has no bias, or if others read these tensors too."""
        held = dict(branch.origin.tensors) if branch.origin is not None else {}
        path = branch.origin.name if branch.origin is not None else node.name
        uses = [name for other in self.graph.nodes for name in other.tensors.values()]
        return {
            role: held[role] if role in held and uses.count(held[role]) == 1 else self._fresh(path, role)
            for role in ("weight", "bias")
        }

    def _fresh(self, path: str, role: str) -> str:
        name = f"{path.replace('/', '.').replace('#', '_')}.{role}"
        while name in self.graph.tensors:
            name += "_"
        return name


def _is_per_channel(branch: Branch) -> bool:
    """Whether a convolution only multiplies each channel by a number, as batch normalization does."""
    one_pixel = tuple(branch.weight.shape[1:]) == (1, 1, 1) and branch.groups == branch.weight.shape[0]
    return one_pixel and branch.stride == (1, 1) and branch.padding == (0, 0)
