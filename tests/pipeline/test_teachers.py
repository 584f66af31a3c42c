"""A teacher that was made for other images sees the student's as it knows them."""

import pytest
import torch

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo
from pocketcnn.pipeline.teachers import ResizedTeacher, loaded_teacher
from tests.support.small_networks import float_network, images

OWN = InputContract(height=16, width=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
CLASSES = tuple("abcde")


def teacher() -> GraphNetwork:
    network = float_network()
    network.info = ModelInfo(name="tutor", input=OWN, classes=CLASSES)
    return network


def test_for_the_same_images_it_is_the_network_itself() -> None:
    network = teacher()
    assert loaded_teacher(network, OWN.model_copy(update={"resize": "crop"}), CLASSES) is network


def test_normalization_size_and_the_order_of_classes_are_translated() -> None:
    network = teacher()
    theirs = InputContract(height=16, width=16, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.4))
    order = ("c", "a", "e", "d", "b")
    adapted = loaded_teacher(network, theirs, order)
    pixels = images().sigmoid()

    def normalized(contract: InputContract) -> torch.Tensor:
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (contract.mean, contract.std))
        return (pixels - mean) / std

    expected = network(normalized(OWN))[:, [CLASSES.index(name) for name in order]]
    torch.testing.assert_close(adapted(normalized(theirs)), expected, rtol=1e-4, atol=1e-4)

    smaller = theirs.model_copy(update={"height": 8, "width": 12})
    shrunk = loaded_teacher(network, smaller, order)
    assert isinstance(shrunk, ResizedTeacher)
    flat = torch.full((2, 3, 8, 12), 0.7)
    grey = torch.full((2, 3, 16, 16), 0.7)
    torch.testing.assert_close(shrunk(flat), adapted(grey), rtol=1e-4, atol=1e-4)


def test_teachers_that_cannot_teach_are_refused() -> None:
    network = teacher()
    grey = InputContract(channels=1, height=16, width=16, mean=(0.5,), std=(0.5,))
    with pytest.raises(UsageError, match=r"tutor takes images with 3 channels, .* with 1"):
        loaded_teacher(network, grey, CLASSES)
    with pytest.raises(UsageError, match="classes of the teacher tutor differ"):
        loaded_teacher(network, OWN, ("x", *CLASSES[1:]))
    network.info = ModelInfo(name="tutor")
    with pytest.raises(UsageError, match="has no input contract or no class names"):
        loaded_teacher(network, OWN, CLASSES)
