"""Decoded pixels kept in memory, filled as they are first asked for, and shared with forked worker processes."""

import mmap
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class PixelCache:
    """uint8 images (N, C, H, W) and which of them are there already.

    The memory is an anonymous shared mapping: what one forked worker decodes the others find, pages that are never
    filled cost nothing, and /dev/shm, which is small in containers, is not needed.
    """

    def __init__(self, images: int, shape: tuple[int, int, int]) -> None:
        self._pixels = _shared(images * _volume(shape)).view(images, *shape)
        self._filled = _shared(images)

    def get(self, indices: Sequence[int], read: Callable[[list[int]], list[Tensor]]) -> Tensor:
        """The images at `indices` (n, C, H, W), a copy; those that are not there yet come from `read`."""
        missing = [index for index in dict.fromkeys(indices) if not self._filled[index]]
        if missing:
            for index, pixels in zip(missing, read(missing), strict=True):
                self._pixels[index] = pixels
                self._filled[index] = 1  # after the pixels: another process may look in between
        return self._pixels[list(indices)]


def cache_bytes(images: int, shape: tuple[int, int, int]) -> int:
    """The memory that a full cache takes."""
    return images * _volume(shape)


def _volume(shape: tuple[int, int, int]) -> int:
    channels, height, width = shape
    return channels * height * width


def _shared(count: int) -> Tensor:
    return torch.frombuffer(mmap.mmap(-1, max(count, 1)), dtype=torch.uint8)[:count]
