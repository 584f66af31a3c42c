"""Device, precision, memory format and threads of a training."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from pocketcnn.errors import UsageError


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" prefers CUDA, then Apple's GPU, then the CPU.

    Raises:
        UsageError: torch does not know the device, or this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"There is no device {name!r} here: {str(error).splitlines()[0]} "
            "Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    return device


def device_of(network: nn.Module) -> torch.device:
    """The device of the network's first tensor; the CPU if it has none."""
    tensor = next(network.parameters(), next(network.buffers(), None))
    return torch.device("cpu") if tensor is None else tensor.device


@dataclass(frozen=True)
class Precision:
    """Automatic mixed precision: the autocast type (None for float32) and whether gradients are scaled."""

    device: torch.device
    dtype: torch.dtype | None = None

    @classmethod
    def choose(cls, amp: str, device: torch.device) -> "Precision":
        """bfloat16 on a CUDA device that supports it, else float16; float32 on all other devices.

        CPUs use float32: few compute bfloat16 faster, and float32 runs are reproducible bit for bit.
        """
        if amp == "off" or device.type != "cuda":
            return cls(device)
        return cls(device, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)

    def autocast(self) -> AbstractContextManager[object]:
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss for float16, whose small gradients would vanish; does nothing otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)


VECTOR = 16
"""Most float32 values in a vector register of an x86 processor (AVX-512; AVX2 has 8)."""


def has_unsafe_stride(network: nn.Module) -> bool:
    """Whether training `network` with channels last on a CPU can write beyond a buffer of oneDNN.

    The gradient of the weights of a 1x1 convolution with a stride does, if it has fewer input channels than a vector register
    has values: the process is aborted, or gradients are wrong. Seen with oneDNN 3.12 on processors with AVX2 (torch 2.13);
    contiguous tensors take another kernel. Pruned networks have such layers, as shortcuts of residual blocks.
    """
    return any(
        module.kernel_size == (1, 1) and module.stride != (1, 1) and module.in_channels // module.groups < VECTOR
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    )


def choose_memory_format(network: nn.Module, images: Tensor) -> torch.memory_format:
    """The faster memory format that this network supports: channels last, unless a layer needs contiguous tensors.

    On CPUs channels last makes a training step of a light network 10 to 35 % faster. A network that takes a `view` across
    channels and rows, such as AlexNet's classifier, does not support it. A network on which it would corrupt memory, see
    `has_unsafe_stride`, is kept contiguous.

    Args:
        network: in eval mode.
        images: (N, C, H, W) on the network's device.
    """
    if images.device.type == "cpu" and has_unsafe_stride(network):
        return torch.contiguous_format
    trial = images.contiguous(memory_format=torch.channels_last)
    try:
        with torch.no_grad(), in_memory_format(network, torch.channels_last):
            network(trial)
    except RuntimeError:
        return torch.contiguous_format
    return torch.channels_last


@contextlib.contextmanager
def in_memory_format(network: nn.Module, memory_format: torch.memory_format) -> Iterator[None]:
    """Inside, the network's weights are in `memory_format`; afterwards they are contiguous."""
    cast(Any, network).to(memory_format=memory_format)  # torch's stubs lack this overload of `to`
    try:
        yield
    finally:
        cast(Any, network).to(memory_format=torch.contiguous_format)


@contextlib.contextmanager
def placed(network: nn.Module, device: torch.device, *, training: bool) -> Iterator[None]:
    """Inside, the network is on `device` in the given mode; device and modes are restored afterwards."""
    home = device_of(network)
    modes = [(module, module.training) for module in network.modules()]
    network.to(device).train(training)
    try:
        yield
    finally:
        network.to(home)
        for module, mode in modes:
            module.training = mode


SMALL_AREA = 48 * 48
"""Below so many pixels per image, a training step is too short for several threads."""


@contextmanager
def threads_for(height: int, width: int) -> Iterator[None]:
    """Inside, one thread for small images, torch's own number for larger ones.

    On 8x8 images two threads were no faster on an idle machine. On a busy machine, where one thread waits for the other, a
    step took 80 times as long.
    """
    before = torch.get_num_threads()
    if height * width < SMALL_AREA:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
