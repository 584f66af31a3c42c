"""Learned group convolution: a pointwise convolution that learns in training which inputs each group of filters needs.

"CondenseNet: An Efficient DenseNet using Learned Group Convolutions" (Huang et al., 2018), section 3. Filter o is of group
o mod G. In each of C - 1 condensing stages every group loses the M / C inputs that matter least to it, so that M / C are
left in the end. Then `condensed_layer` makes a standard grouped convolution of it, with a list of the channels to read.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.errors import UsageError

from .training_hooks import Regularized, Reparameterizable, Scheduled


class LearnedGroups(nn.Module, Scheduled):
    """Base class of the convolution and the linear layer with learned groups; `weight` is (N, M) or (N, M, 1, 1)."""

    weight: Tensor
    alive: Tensor
    """(G, M): whether the group still reads the input."""
    stage: Tensor
    """Number of completed condensing stages, of C - 1."""

    def _start(self, groups: int, condense_factor: int) -> None:
        out, inputs = self.weight.shape[:2]
        if out % groups or inputs % condense_factor:
            raise ValueError(f"{out} filters and {inputs} inputs cannot be divided by {groups} and {condense_factor}.")
        self.learned_groups, self.condense_factor = groups, condense_factor
        self.register_buffer("alive", torch.ones(groups, inputs, dtype=torch.bool))
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    @property
    def is_final(self) -> bool:
        return self.is_condensed

    @property
    def is_condensed(self) -> bool:
        """Whether every group has been reduced to M / C inputs."""
        return int(self.stage) == self.condense_factor - 1

    def set_progress(self, progress: float) -> None:
        """Run the condensing stages that are due; they are spread evenly over the first half of the training."""
        last = self.condense_factor - 1
        due = sum(2 * progress >= stage / last for stage in range(1, last + 1))
        while int(self.stage) < due:
            self._condense()

    @torch.no_grad()
    def _condense(self) -> None:
        """Remove from every group the M / C remaining inputs with the smallest L1 norm over its filters."""
        importance = self._by_group(self.weight).abs().sum(0).masked_fill(~self.alive, float("inf"))
        dropped = importance.topk(self.alive.shape[1] // self.condense_factor, largest=False).indices
        self.alive.scatter_(1, dropped, False)
        self.stage += 1

    def _by_group(self, weight: Tensor) -> Tensor:
        """(N, M[, 1, 1]) -> (N / G, G, M)."""
        return weight.reshape(-1, self.learned_groups, self.alive.shape[1])

    def group_lasso(self) -> Tensor:
        """Σ over groups and inputs of the L2 norm of the group's weights for that input; 0 when all stages are done.

        Added to the loss it makes the filters of a group agree on which inputs they need (section 3.2).
        """
        if self.is_condensed:
            return self.weight.new_zeros(())
        squares = self._by_group(self._masked()).square().sum(0)
        return squares.clamp(min=1e-6).sqrt().sum()  # the square root has no slope at 0

    def _masked(self) -> Tensor:
        mask = self.alive.repeat(self.weight.shape[0] // self.learned_groups, 1)
        return self.weight * mask.reshape(self.weight.shape)

    def _present_weight(self) -> Tensor:
        """An exported network holds the weights themselves, in which `train(False)` has set the dropped ones to 0."""
        return self.weight if torch.compiler.is_exporting() else self._masked()

    def train(self, mode: bool = True) -> "LearnedGroups":
        if not mode:
            with torch.no_grad():
                self.weight.copy_(self._masked())
        return super().train(mode)


GROUP_LASSO_WEIGHT = 1e-5
"""Of the group lasso in the loss, as the authors train on ImageNet."""


class LearnedGroupConv(nn.Conv2d, LearnedGroups, Regularized):
    """A pointwise convolution without bias; (N, M, H, W) -> (N, out_channels, H, W).

    MAdds in training H·W·N·M, condensed H·W·N·M / C.
    """

    def __init__(self, in_channels: int, out_channels: int, *, groups: int, condense_factor: int) -> None:
        super().__init__(in_channels, out_channels, 1, bias=False)
        self._start(groups, condense_factor)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self._present_weight())

    def penalty(self) -> Tensor:
        return GROUP_LASSO_WEIGHT * self.group_lasso()


class LearnedGroupLinear(nn.Linear, LearnedGroups, Reparameterizable):
    """A linear layer in one group that loses half of its inputs in the middle of the training; (N, M) -> (N, classes)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self._start(groups=1, condense_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self._present_weight(), self.bias)

    def reparameterize(self) -> nn.Module:
        select, linear = condensed_linear(self)
        return nn.Sequential(OrderedDict(select=select, linear=linear))


class SelectChannels(nn.Module):
    """x[:, index]: (N, C, …) -> (N, number of indices, …); a channel may be taken several times. No multiply-adds."""

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(1, self.index)


def every_nth(inputs: int, groups: int, condense_factor: int) -> Tensor:
    """Channels for a layer that was not learned, (G · M / C,): group g reads every C-th, from channel g mod C on."""
    return torch.cat([torch.arange(group % condense_factor, inputs, condense_factor) for group in range(groups)])


class LearnedGroupLayer(nn.Sequential, Reparameterizable):
    """Norm, ReLU, learned group convolution: the layer as it is trained."""

    norm: nn.BatchNorm2d
    conv: LearnedGroupConv

    def __init__(self, in_channels: int, out_channels: int, *, groups: int, condense_factor: int) -> None:
        conv = LearnedGroupConv(in_channels, out_channels, groups=groups, condense_factor=condense_factor)
        super().__init__(OrderedDict(norm=nn.BatchNorm2d(in_channels), act=nn.ReLU(), conv=conv))

    def reparameterize(self) -> nn.Module:
        return condensed_layer(self)


class CondensedGroupLayer(nn.Sequential):
    """Channel selection, norm, ReLU, grouped convolution, channel shuffle: the layer as it is deployed or fine-tuned.

    `index` are the channels that the groups read one after another, (G · M / C,).
    """

    def __init__(self, index: Tensor, out_channels: int, *, groups: int) -> None:
        conv = nn.Conv2d(len(index), out_channels, 1, groups=groups, bias=False)
        super().__init__(
            OrderedDict(
                select=SelectChannels(index),
                norm=nn.BatchNorm2d(len(index)),
                act=nn.ReLU(),
                conv=conv,
                shuffle=nn.ChannelShuffle(groups),
            )
        )


@torch.no_grad()
def condensed_layer(layer: LearnedGroupLayer) -> CondensedGroupLayer:
    """The same function with standard operations.

    Raises:
        UsageError: condensing stages are not completed.
    """
    conv, norm = layer.conv, layer.norm
    columns = selected_inputs(conv)
    index = columns.flatten()
    result = CondensedGroupLayer(index, conv.out_channels, groups=conv.learned_groups)
    by_group = conv._by_group(conv._masked()).transpose(0, 1)  # (G, N / G, M)
    selected = torch.take_along_dim(by_group, columns[:, None, :], dim=2)
    state = {f"norm.{key}": value[index] if value.ndim else value for key, value in norm.state_dict().items()}
    state |= {"select.index": index, "conv.weight": selected.reshape(conv.out_channels, -1, 1, 1)}
    result.to(conv.weight.device, conv.weight.dtype).load_state_dict(state)
    return result.train(layer.training)


@torch.no_grad()
def condensed_linear(layer: LearnedGroupLinear) -> tuple[SelectChannels, nn.Linear]:
    """The same function with standard operations.

    Raises:
        UsageError: the layer has its condensing stage ahead.
    """
    index = selected_inputs(layer)[0]
    linear = nn.Linear(len(index), layer.out_features).to(layer.weight.device, layer.weight.dtype)
    linear.load_state_dict({"weight": layer.weight[:, index], "bias": layer.bias})
    return SelectChannels(index), linear.train(layer.training)


def selected_inputs(layer: LearnedGroups) -> Tensor:
    """(G, M / C): the indices of the inputs that each group reads after the last condensing stage.

    Raises:
        UsageError: there are stages ahead.
    """
    if not layer.is_condensed:
        raise UsageError(
            f"Only {int(layer.stage)} of {layer.condense_factor - 1} condensing stages are done. They are spread over the first "
            "half of the training: `set_progress(network, 0.5)` does what is left of them at once."
        )
    return layer.alive.nonzero()[:, 1].reshape(layer.learned_groups, -1)


def group_lasso(network: nn.Module) -> Tensor:
    """Sum of the group lasso of all learned group convolutions; each adds it to the loss as its penalty."""
    terms = [module.group_lasso() for module in network.modules() if isinstance(module, LearnedGroupConv)]
    return torch.stack(terms).sum() if terms else torch.zeros(())
