import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from pocketcnn.data import POLICIES, build_augmentation
from pocketcnn.data.augment import augment_batch
from pocketcnn.errors import UsageError
from pocketcnn.graph.contract import InputContract


def contract_of(channels=3, height=16, width=16):
    return InputContract(
        channels=channels, height=height, width=width, mean=(0.5, 0.4, 0.3)[:channels], std=(0.25,) * channels
    )


def noise(*shape):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 8, 8), (3, 20, 33), (1, 64, 48)])
def test_every_policy_gives_uint8_images_of_the_input_size(policy, channels, height, width):
    augmentation = build_augmentation(policy, contract_of(channels, height, width))
    source = [round(side * augmentation.source_scale) for side in (height, width)]
    for seed in range(20):  # strong picks one of many operations
        torch.manual_seed(seed)
        image = augmentation(noise(channels, *source))
        assert image.dtype == torch.uint8
        assert image.shape == (channels, height, width)
    batch = augment_batch(noise(11, channels, *source), augmentation)
    assert batch.shape == (11, channels, height, width)


def test_none_changes_nothing():
    image = noise(3, 16, 16)
    assert torch.equal(build_augmentation("none", contract_of())(image), image)


@pytest.mark.parametrize("policy", ["light", "standard", "strong"])
def test_draws_follow_torchs_seed_and_differ(policy):
    augmentation = build_augmentation(policy, contract_of())
    image = noise(3, 16, 16)

    def draws(seed):
        torch.manual_seed(seed)
        return torch.stack([augmentation(image) for _ in range(4)])

    assert torch.equal(draws(1), draws(1))
    assert not torch.equal(draws(1), draws(2))
    assert len({image.numpy().tobytes() for image in draws(1)}) > 1


def digits():
    images, labels = load_digits(return_X_y=True)
    return torch.from_numpy(np.round(images.reshape(-1, 1, 8, 8) * 255 / 16).astype(np.uint8)), torch.from_numpy(labels)


def test_light_leaves_digits_recognizable():
    """The nearest unaugmented digit still has the right label: 8 x 8 pixels are not smeared, cut or mirrored."""
    images, labels = digits()
    torch.manual_seed(0)
    changed = augment_batch(images[:300], build_augmentation("light", contract_of(1, 8, 8)))
    distance = torch.cdist(changed.flatten(1).float(), images[300:].flatten(1).float())
    right = labels[300:][distance.argmin(1)] == labels[:300]
    assert right.float().mean() > 0.8  # 0.95 of the unchanged digits
    assert (changed != images[:300]).flatten(1).any(1).float().mean() > 0.9


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 30), (40, 20), (64, 64)])
def test_light_shows_no_black_corners(height, width):
    image = torch.full((1, height, width), 240, dtype=torch.uint8)
    torch.manual_seed(0)
    augmentation = build_augmentation("light", contract_of(1, height, width))
    assert all(augmentation(image).min() >= 239 for _ in range(200))


def test_a_batch_of_large_images_gets_a_draw_each_and_tiny_neighbours_share_one():
    large = noise(1, 3, 64, 64).expand(6, -1, -1, -1)
    torch.manual_seed(0)
    different = {
        image.numpy().tobytes() for image in augment_batch(large, build_augmentation("standard", contract_of()))
    }
    assert len(different) == 6
    tiny = noise(1, 1, 8, 8).expand(16, -1, -1, -1)
    changed = augment_batch(tiny, build_augmentation("light", contract_of(1, 8, 8)))
    assert torch.equal(changed[0], changed[7])
    assert len({image.numpy().tobytes() for image in changed}) == 2


@pytest.mark.parametrize("policy", POLICIES)
def test_an_augmentation_survives_pickling(policy):
    augmentation = build_augmentation(policy, contract_of())
    again = pickle.loads(pickle.dumps(augmentation))
    torch.manual_seed(3)
    expected = augmentation(noise(3, 20, 20)) if policy != "none" else noise(3, 20, 20)
    torch.manual_seed(3)
    assert torch.equal(again(noise(3, 20, 20)), expected)


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="none, light, standard, strong"):
        build_augmentation("heavy", contract_of())
