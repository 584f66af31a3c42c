"""What fvcore, ptflops and thop count for a module, without their prints and warnings; and what each is known to count."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.vision import require_torchvision


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """They print, log what they do not know, and use what torch and Python have deprecated."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def by_fvcore(module: nn.Module, image: tuple[int, int, int]) -> int:
    """`FlopCountAnalysis(...).total()`: one flop is one multiply-add there."""
    with _quiet():
        from fvcore.nn import FlopCountAnalysis

        return int(FlopCountAnalysis(module, torch.zeros(1, *image)).total())


def by_ptflops(module: nn.Module, image: tuple[int, int, int]) -> int:
    """`get_model_complexity_info` with the backend that sees operators, whatever module they come from."""
    require_torchvision()  # ptflops imports it, and that import may need help
    with _quiet():
        from ptflops import get_model_complexity_info

        options = {"print_per_layer_stat": False, "as_strings": False, "backend": "aten"}
        macs, _ = get_model_complexity_info(copy.deepcopy(module), image, **options)
        return int(macs)


def by_thop(module: nn.Module, image: tuple[int, int, int]) -> int:
    """`thop.profile`: forward hooks on modules of the types that it knows."""
    with _quiet():
        from thop import profile

        macs, _ = profile(copy.deepcopy(module), inputs=(torch.zeros(1, *image),), verbose=False)
        return int(macs)


def parameters_by_fvcore(module: nn.Module) -> int:
    """All learnable numbers of a module, used or not."""
    with _quiet():
        from fvcore.nn import parameter_count

        return int(parameter_count(module)[""])


Count = Callable[[Graph, Node, nn.Module], int]
"""(graph, node, module that made it) -> what a peer counts for it beyond our multiply-adds."""


@dataclass(frozen=True)
class Difference:
    """Something that a peer counts and we do not, or the other way round, and why."""

    reason: str
    count: Count


@dataclass(frozen=True)
class Peer:
    """A counter, and all in which it differs from ours."""

    count: Callable[[nn.Module, tuple[int, int, int]], int]
    differences: Mapping[str, Difference]

    def expected(self, graph: Graph, module: nn.Module, madds: int) -> int:
        """Our multiply-adds and what this peer is known to count besides."""
        return madds + sum(
            difference.count(graph, node, _made_by(module, node))
            for difference in self.differences.values()
            for node in graph.nodes
        )


def _made_by(module: nn.Module, node: Node) -> nn.Module:
    """The module that made a node; for what a module does in its own code, a plain `nn.Module`."""
    path, own, _ = node.name.partition("#")[0].partition("/")
    try:
        return nn.Module() if own or not path else module.get_submodule(path)
    except AttributeError:
        return nn.Module()


def _elements(graph: Graph, name: str) -> int:
    return prod(graph[name].shape)


def _batch_norm(factor: int, exact_type: bool = False) -> Count:
    def count(graph: Graph, node: Node, module: nn.Module) -> int:
        known = not exact_type or type(module) in (nn.BatchNorm2d, nn.BatchNorm1d)
        affine = "weight" in node.tensors
        return (factor if affine else factor // 2) * prod(node.shape) if node.op == "batch_norm" and known else 0

    return count


def _adaptive_pool(with_output: bool) -> Count:
    def count(graph: Graph, node: Node, module: nn.Module) -> int:
        if not isinstance(module, nn.AdaptiveAvgPool2d) or node.op not in ("mean", "adaptive_avg_pool"):
            return 0
        return _elements(graph, node.inputs[0]) + with_output * prod(node.shape)

    return count


def _bias(graph: Graph, node: Node, module: nn.Module) -> int:
    return prod(node.shape) if node.op in ("conv2d", "linear") and "bias" in node.tensors else 0


def _average_pool(graph: Graph, node: Node, module: nn.Module) -> int:
    return prod(node.shape) if node.op == "avg_pool" and type(module) is nn.AvgPool2d else 0


def _upsampled(exact_type: bool) -> Count:
    def count(graph: Graph, node: Node, module: nn.Module) -> int:
        return prod(node.shape) if node.op == "upsample" and (not exact_type or type(module) is nn.Upsample) else 0

    return count


def _subclasses(graph: Graph, node: Node, module: nn.Module) -> int:
    return 0 if type(module) in (nn.Conv2d, nn.Linear) else -graph.madds(node)


PEERS: Mapping[str, Peer] = {
    "fvcore": Peer(
        by_fvcore,
        {
            "batch norm": Difference(
                "a multiplication and an addition for each element are two of its flops", _batch_norm(2)
            ),
            "adaptive pooling": Difference(
                "each element that is averaged is a flop", _adaptive_pool(with_output=False)
            ),
            "upsampling": Difference("each element of the result is a flop", _upsampled(exact_type=False)),
        },
    ),
    "ptflops": Peer(by_ptflops, {"bias": Difference("adding a bias is an operation for each element", _bias)}),
    "thop": Peer(
        by_thop,
        {
            "batch norm": Difference(
                "it takes a scale and an offset twice: four for each element", _batch_norm(4, True)
            ),
            "adaptive pooling": Difference(
                "each element that is averaged, and a division for each result", _adaptive_pool(with_output=True)
            ),
            "average pooling": Difference("a division for each result", _average_pool),
            "upsampling": Difference("an operation for each element of the result", _upsampled(exact_type=True)),
            "subclasses and functions": Difference(
                "it knows modules by their exact type: a convolution of a class of its own, or in a function, is not seen",
                _subclasses,
            ),
        },
    ),
}
