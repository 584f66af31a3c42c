"""The exponential moving average (EMA) of a network's weights, which is validated and kept.

Batch-norm statistics are averaged together with the weights that produced them: statistics of the raw network do not match
the averaged filters. Integer buffers, such as the batch counter of batch norm, are copied instead.
"""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def decay_at(update: int, decay: float) -> float:
    """The decay at an update (counted from 0): (1 + n) / (10 + n), up to `decay`.

    So the average always covers about the last tenth of the training so far, and a short training does not keep its random
    initial weights. The rule is that of TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    return min(decay, (1 + update) / (10 + update))


class NetworkAverage(AveragedModel):
    """torch's `AveragedModel` with a warm-up of the decay.

    It pairs the tensors once instead of at each update, which takes 0.05 ms instead of 0.7 ms for a network with 35 parameter
    tensors. The network must therefore keep its tensors: move it to its device first.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, use_buffers=True)
        self.decay = decay
        self.module.requires_grad_(False).eval()
        pairs = list(zip(_tensors(self.module), _tensors(network), strict=True))
        self._averaged = [mine for mine, _ in pairs if mine.is_floating_point()]
        self._current = [theirs for _, theirs in pairs if theirs.is_floating_point()]
        self._counters = [(mine, theirs) for mine, theirs in pairs if not mine.is_floating_point()]

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:  # noqa: ARG002 - the pairs already point to its tensors
        """Add the network's current weights to the average."""
        decay = decay_at(int(self.n_averaged), self.decay)
        get_ema_multi_avg_fn(decay)(self._averaged, self._current, None)  # type: ignore[no-untyped-call]
        self.copy_counters()
        self.n_averaged += 1

    @torch.no_grad()
    def copy_counters(self) -> None:
        """Copy the buffers that are not averaged."""
        for mine, theirs in self._counters:
            mine.copy_(theirs)


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
