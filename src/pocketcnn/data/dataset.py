"""Dataset of images and labels for torch's DataLoader, preprocessed by an input contract and cached in memory."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from pocketcnn.data.augment import augment_batch
from pocketcnn.data.cache import PixelCache, cache_bytes
from pocketcnn.data.folder import Sample
from pocketcnn.data.images import image_size, load_image
from pocketcnn.data.preprocess import channels_first, normalize, to_pixels
from pocketcnn.data.threads import thread_map
from pocketcnn.graph.contract import InputContract

CACHE_BYTES = 2**30
SIZES_SAMPLED = 64

Augment = Callable[[Tensor], Tensor]


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """(float32 image (C, H, W), label) for each sample.

    Without augmentation an image is `preprocess(load_image(path), contract)`. With augmentation, that gets the resized
    uint8 image (C, H', W') and its result is normalized. H' x W' is the contract's size times the augmentation's
    `source_scale`, so that random crops are sharp, but at most the size of the images themselves. (A cache of the
    original images would need more memory for detail that the crop discards.)

    The resized images are cached in memory if all of them fit in `cache_limit` bytes (default 1 GiB), else they are
    read again each time, with the same result. A pickled dataset does not include the cache.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        contract: InputContract,
        augmentation: Augment | None = None,
        *,
        cache_limit: int = CACHE_BYTES,
    ) -> None:
        self.samples = tuple(samples)
        self.contract = contract
        self.augmentation = augmentation
        self.cache_limit = cache_limit
        self._source = _source_contract(self.samples, contract, augmentation)
        self._cache = self._new_cache()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self._pixels([range(len(self))[index]])[0]  # raises IndexError, which ends a for loop over the dataset
        if self.augmentation is not None:
            pixels = self.augmentation(pixels)
        return normalize(pixels, self.contract), self.samples[index].label

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """A batch for torch's DataLoader, augmented and normalized in one pass."""
        if not indices:
            return []
        pixels = self._pixels(indices)
        if self.augmentation is not None:
            pixels = augment_batch(pixels, self.augmentation)
        labels = [self.samples[index].label for index in indices]
        return list(zip(normalize(pixels, self.contract).unbind(), labels, strict=True))

    @property
    def labels(self) -> Tensor:
        """The labels, int64 (N,)."""
        return torch.tensor([sample.label for sample in self.samples], dtype=torch.int64)

    @property
    def cached(self) -> bool:
        """Whether images are cached in memory."""
        return self._cache is not None

    def as_tensors(self) -> tuple[Tensor, Tensor]:
        """All images without augmentation, float32 (N, C, H, W), and labels, int64 (N,), for fast evaluation of small sets."""
        plain = self.with_augmentation(None)
        return normalize(plain._pixels(range(len(self))), self.contract), self.labels

    def with_augmentation(self, augmentation: Augment | None) -> "ImageDataset":
        """A dataset with another augmentation, or none; it shares the cache if the source size is the same."""
        other = ImageDataset(self.samples, self.contract, augmentation, cache_limit=self.cache_limit)
        if other._source == self._source:
            other._cache = self._cache
        return other

    def _pixels(self, indices: Sequence[int]) -> Tensor:
        """uint8 (n, C, H', W'), not augmented."""
        if self._cache is not None:
            return self._cache.get(indices, self._read)
        return (
            torch.stack(self._read(list(indices)))
            if indices
            else torch.empty(0, *self._source.shape, dtype=torch.uint8)
        )

    def _read(self, indices: list[int]) -> list[Tensor]:
        paths = [self.samples[index].path for index in indices]
        if len(paths) == 1 or get_worker_info() is not None:  # worker processes share the cores already
            return [self._read_one(path) for path in paths]
        return list(thread_map(self._read_one, paths))

    def _read_one(self, path: Path) -> Tensor:
        return channels_first(
            to_pixels(load_image(path, self.contract.channels, self.contract.deep_range), self._source)
        )

    def _new_cache(self) -> PixelCache | None:
        fits = cache_bytes(len(self), self._source.shape) <= self.cache_limit
        return PixelCache(len(self), self._source.shape) if fits else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache = self._new_cache()


def _source_contract(samples: Sequence[Sample], contract: InputContract, augmentation: Augment | None) -> InputContract:
    """The contract with the size of the augmentation's source images."""
    wanted: float = getattr(augmentation, "source_scale", 1.0)
    if wanted <= 1.0 or not samples:
        return contract
    scale = min(wanted, max(1.0, _detail(samples, contract)))
    return contract.model_copy(
        update={"height": math.ceil(contract.height * scale), "width": math.ceil(contract.width * scale)}
    )


def _detail(samples: Sequence[Sample], contract: InputContract) -> float:
    """Size of the images relative to the input, the median of a sample."""
    some = samples[:: -(-len(samples) // SIZES_SAMPLED)]
    sizes = np.array([image_size(sample.path) for sample in some])
    return float(np.median((sizes / [contract.height, contract.width]).min(axis=1)))
