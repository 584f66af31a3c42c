import multiprocessing
import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from pocketcnn.data import ImageDataset, Sample, build_augmentation, infer_contract, load_image, preprocess, scan
from pocketcnn.data import dataset as dataset_module
from pocketcnn.errors import PocketcnnError
from tests.support.image_files import fill, picture, save


@pytest.fixture
def samples(tmp_path):
    return [Sample(save(picture(n, (20, 24)), tmp_path / f"{n}.png"), n % 3) for n in range(10)]


@pytest.fixture
def contract(tmp_path):
    fill(tmp_path / "set" / "a", 4, 100)
    fill(tmp_path / "set" / "b", 4, 200)
    return infer_contract(scan(tmp_path / "set"), size=(8, 12))


def expected(samples, contract):
    return torch.stack([preprocess(load_image(sample.path, contract.channels), contract) for sample in samples])


@pytest.mark.parametrize("limit", [2**30, 0], ids=["cached", "uncached"])
def test_items_batches_and_tensors_are_the_preprocessed_images(samples, contract, limit):
    dataset = ImageDataset(samples, contract, cache_limit=limit)
    assert dataset.cached == (limit > 0)
    wanted, labels = expected(samples, contract), torch.tensor([sample.label for sample in samples])
    for _ in range(2):  # from the files, and from the cache
        assert torch.equal(torch.stack([image for image, _ in dataset]), wanted)
        assert [label for _, label in dataset] == labels.tolist()
    batch = dataset.__getitems__([3, 1, 3])
    assert torch.equal(torch.stack([image for image, _ in batch]), wanted[[3, 1, 3]])
    images, found = dataset.as_tensors()
    assert torch.equal(images, wanted)
    assert torch.equal(found, labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_reads_it(samples, contract, workers):
    loader = DataLoader(ImageDataset(samples, contract), batch_size=4, num_workers=workers)
    images = torch.cat([images for images, _ in loader])
    assert torch.equal(images, expected(samples, contract))


def test_worker_processes_start_no_threads_of_their_own(samples, contract, monkeypatch):
    """Two workers with two threads each took longer on two cores than two workers."""
    asked = []

    def counting(function, items):
        asked.append(len(items))
        return map(function, items)

    monkeypatch.setattr(dataset_module, "thread_map", counting)
    dataset = ImageDataset(samples, contract, cache_limit=0)
    here = dataset.__getitems__(range(10))
    assert asked == [10]
    monkeypatch.setattr(dataset_module, "get_worker_info", object)
    there = dataset.__getitems__(range(10))
    assert asked == [10]
    assert all(torch.equal(one, other) for (one, _), (other, _) in zip(here, there, strict=True))


def test_forked_workers_share_what_they_decode(samples, contract):
    dataset = ImageDataset(samples, contract)
    loader = DataLoader(
        dataset, batch_size=5, num_workers=2, multiprocessing_context=multiprocessing.get_context("fork")
    )
    list(loader)
    for sample in samples:
        sample.path.unlink()
    assert len(list(dataset)) == 10  # the parent finds them in memory


def test_only_what_is_asked_for_is_decoded_and_only_once(samples, contract, monkeypatch):
    read = []
    monkeypatch.setattr(
        dataset_module, "load_image", lambda path, channels, *_: read.append(path) or load_image(path, channels)
    )
    dataset = ImageDataset(samples, contract)
    assert read == []
    dataset.__getitems__([2, 2, 5])
    dataset[5]
    assert sorted(read) == sorted([samples[2].path, samples[5].path])


def test_a_cached_image_is_not_changed_by_its_user(samples, contract):
    dataset = ImageDataset(samples, contract, lambda pixels: pixels.zero_())
    dataset[0]
    assert torch.equal(dataset.with_augmentation(None)[0][0], expected(samples, contract)[0])


def test_pickling_leaves_the_cache_behind_and_nothing_else(samples, contract):
    dataset = ImageDataset(samples, contract, build_augmentation("light", contract))
    dataset.as_tensors()
    data = pickle.dumps(dataset)
    assert len(data) < 10_000
    again = pickle.loads(data)
    torch.manual_seed(0)
    wanted = dataset[4]
    torch.manual_seed(0)
    found = again[4]
    assert torch.equal(found[0], wanted[0])
    assert found[1] == wanted[1]


@pytest.mark.parametrize("policy", ["none", "light", "standard", "strong"])
def test_augmented_items_have_the_input_shape_and_vary(samples, contract, policy):
    dataset = ImageDataset(samples, contract, build_augmentation(policy, contract))
    torch.manual_seed(0)
    images = [dataset[0][0] for _ in range(20)]
    assert {tuple(image.shape) for image in images} == {contract.shape}
    different = len({image.numpy().tobytes() for image in images})
    assert different == 1 if policy == "none" else different > 10


@pytest.mark.parametrize("policy", ["light", "standard"])
def test_as_tensors_is_free_of_augmentation(samples, contract, policy):
    dataset = ImageDataset(samples, contract, build_augmentation(policy, contract))
    assert torch.equal(dataset.as_tensors()[0], expected(samples, contract))


@pytest.mark.parametrize(("size", "seen"), [((8, 12), (10, 15)), ((18, 20), (20, 23)), ((40, 48), (40, 48))])
def test_crops_are_cut_from_larger_images_as_far_as_there_is_detail(samples, contract, size, seen):
    """The images are 20 x 24: 1.25 times the input where they have that much, and never enlarged."""
    handed = []

    def spy(pixels):
        handed.append(tuple(pixels.shape[-2:]))
        return pixels

    spy.source_scale = 1.25
    dataset = ImageDataset(samples, contract.model_copy(update={"height": size[0], "width": size[1]}), spy)
    dataset[0]
    assert handed == [seen]


def test_an_empty_dataset_is_empty(contract):
    dataset = ImageDataset([], contract)
    assert len(dataset) == 0
    assert dataset.as_tensors()[0].shape == (0, *contract.shape)
    assert dataset.__getitems__([]) == []


def test_a_file_that_vanished_is_named(samples, contract):
    samples[2].path.unlink()
    with pytest.raises(PocketcnnError, match=r"2\.png"):
        ImageDataset(samples, contract)[2]
