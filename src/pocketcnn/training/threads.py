"""How many threads a training step is shared among."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_AREA = 48 * 48
"""Pixels of an image below which a step is too short to share."""


@contextmanager
def threads_for(height: int, width: int) -> Iterator[None]:
    """One thread for images of few pixels, torch's own choice for larger ones; as before afterwards.

    On 8x8 images two threads gained nothing on an idle machine. On a busy one, where a thread that waits for the other keeps
    a core from it, a step took 80 times as long.
    """
    before = torch.get_num_threads()
    if height * width < SMALL_AREA:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
