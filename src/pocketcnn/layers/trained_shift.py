"""A shift with learned offsets: real numbers in training, rounded to integers for deployment.

Chen et al., "All You Need Is a Few Shifts: Designing Efficient Convolutional Neural Networks for Image Classification" (2019),
section 3.3: the forward pass shifts by the rounded offsets; the backward pass uses the gradient of bilinear interpolation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .shift import Shift, shift_channels
from .training_hooks import Reparameterizable


class TrainedShift(nn.Module, Reparameterizable):
    """(N, C, H, W) -> (N, C, H, W); `down` and `right` (C,) are the offsets in pixels, which stay within the kernel.

    They start near those of `Shift`, where the gradient is not 0. After training it becomes a `Shift`: 0 parameters, 0 MAdds.
    """

    def __init__(self, channels: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        self.reach = kernel // 2 * dilation
        self.limit = max(0.0, self.reach - 1e-3)  # still rounded to the reach, but not at the kink of the interpolation
        dealt = Shift(channels, kernel, dilation)
        self.down, self.right = (
            nn.Parameter(torch.tensor(offsets, dtype=torch.float32) + torch.empty(channels).uniform_(-0.3, 0.3))
            for offsets in (dealt.down, dealt.right)
        )
        self._refresh()
        self.register_load_state_dict_post_hook(lambda module, _: module._refresh())  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> "TrainedShift":
        if not mode:
            self._refresh()
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return shift_channels(x, *self._rounded)
        positions = torch.arange(-self.reach, self.reach + 1, device=x.device)
        rows, columns = (self._taps(offsets, positions) for offsets in (self.down, self.right))
        kernel = rows[:, None, :, None] * columns[:, None, None, :]
        return F.conv2d(x, kernel.to(x.dtype), padding=self.reach, groups=len(kernel))

    def _taps(self, offsets: Tensor, positions: Tensor) -> Tensor:
        """(C, K): one-hot rows at the rounded offsets, with the gradient of bilinear interpolation."""
        bounded = offsets + (self._limited(offsets) - offsets).detach()  # from outside the kernel there is a way back
        soft = (1 - (positions + bounded[:, None]).abs()).clamp(min=0)
        hard = (positions + bounded.round()[:, None] == 0).to(soft.dtype)
        return hard + soft - soft.detach()

    def _refresh(self) -> None:
        """Store the rounded offsets as plain integers, because they are attributes of the captured operation, not tensors."""
        rounded = (self._limited(offsets.detach()).round() for offsets in (self.down, self.right))
        self._rounded = tuple([int(offset) for offset in offsets.tolist()] for offsets in rounded)

    def _limited(self, offsets: Tensor) -> Tensor:
        return offsets.clamp(-self.limit, self.limit)

    def reparameterize(self) -> Shift:
        self._refresh()
        shift = Shift(len(self.down), self.kernel, self.dilation)
        shift.down, shift.right = self._rounded
        return shift.train(self.training)


def shift_of(channels: int, kernel: int, dilation: int = 1, *, trained: bool) -> nn.Module:
    """A `Shift`, or a `TrainedShift` if `trained`."""
    return TrainedShift(channels, kernel, dilation) if trained else Shift(channels, kernel, dilation)
