"""Network slimming: an L1 penalty on batch-norm scales, which drives those of unimportant channels to zero.

Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (ICCV 2017), section 3, equation 1.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork


class ScalePenalty:
    """Adds strength · Σ|gamma| over all batch norms to a loss; the sub-gradient is strength · sign(gamma), 0 at 0.

    Raises:
        UsageError: `strength` is set, and the network has no batch norm with a scale.
    """

    def __init__(self, network: nn.Module, strength: float) -> None:
        self._strength = strength
        self._scales = normalization_scales(network) if strength else []
        if strength and not self._scales:
            raise UsageError(
                "bn_l1 penalizes the scales of batch normalizations, but this network has none. Set it to 0."
            )

    def added_to(self, loss: Tensor) -> Tensor:
        """`loss`, a scalar, plus the penalty."""
        if not self._scales:
            return loss
        return loss + self._strength * torch.stack([scale.abs().sum() for scale in self._scales]).sum()


def normalization_scales(network: nn.Module) -> list[nn.Parameter]:
    """The scales (C,) of all batch norms of `network`, each once."""
    scales = [module.weight for module in network.modules() if isinstance(module, _BatchNorm) and module.affine]
    for part in network.modules():
        if isinstance(part, GraphNetwork):
            parameters = dict(part.named_parameters())
            names = [node.tensors.get("weight") for node in part.graph.nodes if node.op == "batch_norm"]
            scales += [parameters[name] for name in names if name in parameters]
    return list(dict.fromkeys(scales))
