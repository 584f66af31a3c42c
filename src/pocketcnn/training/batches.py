"""Batches that depend only on (seed, epoch, number), so that a training can resume in the middle of an epoch.

Each batch has its own seed, from which the random augmentation of its images starts, in this process or in a worker. So the
images are the same for any number of workers, and nothing is replayed after a resume. (torchdata's StatefulDataLoader
restores the order of the samples but not the random streams of its workers, so augmentations would differ after a resume.)
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from pocketcnn.training.interrupt import leave_stopping_to_parent
from pocketcnn.training.rng import preserved_torch_rng, seed_reading


class Batch(NamedTuple):
    """What the sampler passes to the loader: sample indices, and the seed of their augmentation."""

    seed: int
    indices: list[int]


class ShuffledBatches(Sampler[Any]):
    """All samples of an epoch in an order drawn from (seed, epoch), starting at batch `first`.

    A last batch of a single sample is left out, because batch norm cannot normalize it.
    """

    def __init__(self, samples: int, batch_size: int, seed: int) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.epoch, self.first = 0, 0

    def start_at(self, epoch: int, first: int = 0) -> None:
        self.epoch, self.first = epoch, first

    def __len__(self) -> int:
        whole, rest = divmod(self.samples, self.batch_size)
        return max(1, whole + (rest > 1))

    def __iter__(self) -> Iterator[Batch]:
        stream = torch.Generator().manual_seed(_epoch_seed(self.seed, self.epoch))
        order = torch.randperm(self.samples, generator=stream).tolist()
        seeds = torch.randint(2**62, (len(self),), generator=stream).tolist()
        for number in range(self.first, len(self)):
            start = number * self.batch_size
            yield Batch(seeds[number], order[start : start + self.batch_size])


class SeededDataset(Dataset[Any]):
    """A map-style dataset read in whole batches, each from its own seed; torch's random stream is restored."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return size_of(self.dataset)

    def __getitems__(self, batch: Batch) -> list[Any]:
        if get_worker_info() is not None:
            return self._read(batch)
        with preserved_torch_rng():  # the network's dropout draws from it
            return self._read(batch)

    def _read(self, batch: Batch) -> list[Any]:
        seed_reading(batch.seed)
        if hasattr(self.dataset, "__getitems__"):
            return cast(list[Any], self.dataset.__getitems__(batch.indices))
        return [self.dataset[index] for index in batch.indices]


def size_of(dataset: Dataset[Any]) -> int:
    """The number of samples of a map-style dataset."""
    return len(cast(Any, dataset))


def training_loader(
    dataset: Dataset[Any], batch_size: int, *, seed: int, workers: int, pin_memory: bool
) -> tuple[DataLoader[Any], ShuffledBatches]:
    """The loader of the training set, and its sampler, on which `start_at` is called before each epoch."""
    sampler = ShuffledBatches(size_of(dataset), batch_size, seed)
    loader: DataLoader[Any] = DataLoader(
        SeededDataset(dataset), batch_sampler=sampler, **_reading(workers, pin_memory=pin_memory)
    )
    return loader, sampler


def evaluation_loader(
    dataset: Dataset[Any], batch_size: int, *, workers: int = 0, pin_memory: bool = False
) -> DataLoader[Any]:
    """A loader of all samples in order."""
    return DataLoader(dataset, batch_size=batch_size, **_reading(workers, pin_memory=pin_memory))


def _reading(workers: int, *, pin_memory: bool) -> dict[str, Any]:
    return {
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "worker_init_fn": _start_worker,
        "pin_memory": pin_memory,
        "generator": torch.Generator(),  # else each epoch would draw the workers' seed from the global stream
    }


def _start_worker(_worker: int) -> None:
    leave_stopping_to_parent()  # the trainer stops its workers itself at the end of a step


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
