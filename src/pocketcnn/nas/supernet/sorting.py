"""Sorts channels by importance, so that a narrow block, which takes the first ones, takes the most important ones.

"Once-for-All" (Cai et al., 2020), section 3.3, elastic width: by the L1 norm of the weights that read a channel. The function
of the largest network does not change.
"""

import torch
from torch import Tensor

from pocketcnn.layers import InvertedResidual
from pocketcnn.nas.supernet.network import FIXED_BLOCKS, Supernet


@torch.no_grad()
def sort_channels(supernet: Supernet) -> None:
    """Sort, in place, the expanded channels of every block, and the hidden channels of its squeeze-and-excite."""
    for name, block in supernet.largest.features.named_children():
        if isinstance(block, InvertedResidual) and int(name.removeprefix("block")) > FIXED_BLOCKS:
            _sort_block(dict(block.named_parameters()) | dict(block.named_buffers()))


def _sort_block(tensors: dict[str, Tensor]) -> None:
    order = _by_importance(tensors["project.conv.weight"])
    _permute(tensors["project.conv.weight"], order, 1)
    for name, tensor in tensors.items():
        if name.partition(".")[0] in ("expand", "depthwise") and tensor.ndim:
            _permute(tensor, order, 0)
    if "squeeze_excite.reduce.weight" in tensors:
        _permute(tensors["squeeze_excite.reduce.weight"], order, 1)
        _permute(tensors["squeeze_excite.expand.weight"], order, 0)
        _permute(tensors["squeeze_excite.expand.bias"], order, 0)
        inner = _by_importance(tensors["squeeze_excite.expand.weight"])
        _permute(tensors["squeeze_excite.expand.weight"], inner, 1)
        _permute(tensors["squeeze_excite.reduce.weight"], inner, 0)
        _permute(tensors["squeeze_excite.reduce.bias"], inner, 0)


def _by_importance(reader: Tensor) -> Tensor:
    """The input channels of a layer (N, M, 1, 1), by decreasing L1 norm of their weights."""
    return reader.abs().sum(dim=(0, 2, 3)).argsort(descending=True, stable=True)


def _permute(tensor: Tensor, order: Tensor, axis: int) -> None:
    tensor.copy_(tensor.index_select(axis, order))
