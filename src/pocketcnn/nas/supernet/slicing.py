"""Which slices of a supernet's tensors a sub-network uses.

Widths take the first channels, depths the first blocks, and kernels the centre of a larger kernel, transformed by a matrix:
"Once-for-All" (Cai et al., 2020), section 3.3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pocketcnn.models.bottleneck_plan import Bottleneck

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Part:
    """One block of a sub-network: its number there, its number in the largest network, and its plan."""

    number: int
    source: int
    block: Bottleneck


def block_tensors(full: Tensors, block: Bottleneck, matrices: Tensors) -> dict[str, Tensor]:
    """The tensors of a narrower block with a smaller kernel, as differentiable slices of those of the full block.

    Args:
        full: tensors of the full block, by name.
        block: the plan of the narrower block.
        matrices: kernel transformations by name, see `kernel_of`.
    """
    width, squeeze = block.expanded, block.squeeze
    found = {}
    for name, tensor in full.items():
        layer, _, rest = name.partition(".")
        if layer == "project":
            found[name] = tensor[:, :width] if rest.startswith("conv") else tensor
        elif layer == "squeeze_excite":
            reduces = rest.startswith("reduce")
            out, into = (squeeze, width) if reduces else (width, squeeze)
            found[name] = tensor[:out, :into] if tensor.ndim > 1 else tensor[:out]
        else:  # expand and depthwise, each with its norm, whose counter of batches has no channels
            found[name] = tensor[:width] if tensor.ndim else tensor
        if name == "depthwise.conv.weight":
            found[name] = kernel_of(found[name], block.kernel, matrices)
    return found


def steps_down(kernels: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Pairs of a kernel and the next smaller one, the largest first."""
    return pairwise(sorted(kernels, reverse=True))


def matrix_name(large: int, small: int) -> str:
    """The name of the matrix from one kernel to the next smaller one."""
    return f"from{large}to{small}"


def kernel_of(weight: Tensor, kernel: int, matrices: Tensors) -> Tensor:
    """Depthwise kernels (C, 1, K, K) as (C, 1, kernel, kernel), by one matrix (k², k²) per step.

    A matrix, shared by all channels of a layer, maps the centre of the larger kernel to the smaller one.
    """
    sides = sorted({int(name.rpartition("to")[2]) for name in matrices}, reverse=True)
    for side in (side for side in sides if kernel <= side < weight.shape[-1]):
        large = weight.shape[-1]
        middle = centre(weight, side)
        matrix = matrices[matrix_name(large, side)]
        weight = (middle.flatten(2) @ matrix.T).reshape(middle.shape)
    return weight


def centre(weight: Tensor, side: int) -> Tensor:
    """The centre of kernels (…, K, K), as (…, side, side)."""
    first = (weight.shape[-1] - side) // 2
    return weight[..., first : first + side, first : first + side]


def identity_matrices(kernels: tuple[int, ...]) -> dict[str, Tensor]:
    """The initial matrices: smaller kernels are the centres of larger ones."""
    return {matrix_name(large, small): torch.eye(small * small) for large, small in steps_down(kernels)}
