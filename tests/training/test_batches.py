import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.training.batches import ShuffledBatches, training_loader
from tests.support.training import Digits


@given(samples=st.integers(1, 200), size=st.integers(1, 40), epoch=st.integers(0, 3), data=st.data())
def test_an_epoch_takes_every_sample_once_and_can_start_anywhere(
    samples: int, size: int, epoch: int, data: st.DataObject
) -> None:
    sampler = ShuffledBatches(samples, size, seed=3)
    sampler.start_at(epoch)
    whole = list(sampler)
    taken = [index for batch in whole for index in batch.indices]
    assert len(whole) == len(sampler)
    assert len(set(taken)) == len(taken)
    lone = size > 1 and samples > 1 and samples % size == 1
    assert len(taken) == samples - lone
    assert samples == 1 or size == 1 or all(len(batch.indices) > 1 for batch in whole)
    first = data.draw(st.integers(0, len(whole)))
    sampler.start_at(epoch, first)
    assert list(sampler) == whole[first:]


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = ShuffledBatches(50, 50, seed)
        sampler.start_at(epoch)
        return next(iter(sampler)).indices

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(o) for o in orders}) == 4


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**63 - 1))
def test_any_seed_is_accepted(seed: int) -> None:
    assert len(list(ShuffledBatches(10, 4, seed))) == 3


def test_workers_do_not_change_the_images() -> None:
    """Random augmentation included, from the middle of an epoch too."""
    dataset = Digits(0, 50, noise=0.5)

    def images(workers: int, first: int) -> list[torch.Tensor]:
        loader, sampler = training_loader(dataset, 8, seed=1, workers=workers, pin_memory=False)
        sampler.start_at(2, first)
        return [images for images, _ in loader]

    alone, helped, later = images(0, 0), images(2, 0), images(2, 3)
    assert len(alone) == 7
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(alone[3:], later, strict=True))
    assert not torch.equal(alone[0], alone[1])


def test_reading_leaves_torchs_stream_alone() -> None:
    loader, _ = training_loader(Digits(0, 20, noise=0.5), 8, seed=1, workers=0, pin_memory=False)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(loader)
    assert torch.equal(torch.rand(3), expected)


def test_a_dataset_that_reads_whole_batches_is_asked_for_them() -> None:
    class Whole(Digits):
        asked: list[int]

        def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, int]]:
            self.asked = indices
            return [self[index] for index in indices]

    dataset = Whole(0, 8)
    loader, _ = training_loader(dataset, 8, seed=1, workers=0, pin_memory=False)
    labels = next(iter(loader))[1]
    assert np.array_equal(labels, [dataset.labels[index] for index in dataset.asked])
