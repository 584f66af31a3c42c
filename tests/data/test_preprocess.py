import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pocketcnn.data import load_image, preprocess, to_pixels
from pocketcnn.graph.contract import InputContract
from tests.support.image_files import picture, save

GRAY = {"channels": 1, "mean": (0.31,), "std": (0.38,)}
COLOUR = {"channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
METHODS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def by_hand(path, c):
    """What someone with only Pillow, numpy and the contract would write."""
    image = Image.open(path).convert("L" if c.channels == 1 else "RGB")
    resize = {"stretch": Image.Image.resize, "crop": ImageOps.fit, "letterbox": ImageOps.pad}[c.resize]
    pixels = np.asarray(resize(image, (c.width, c.height), METHODS[c.interpolation]), np.float32)
    pixels = pixels.reshape(c.height, c.width, c.channels) / np.float32(255)
    return ((pixels - np.float32(c.mean)) / np.float32(c.std)).transpose(2, 0, 1)


@pytest.mark.parametrize("colours", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(20, 31), (60, 45), (37, 53)], ids=str)
def test_pillow_and_numpy_give_the_same_tensor(tmp_path, colours, resize, interpolation, size):
    contract = InputContract(height=size[0], width=size[1], resize=resize, interpolation=interpolation, **colours)
    path = save(picture(4, (37, 53)), tmp_path / "a.png")
    tensor = preprocess(load_image(path, contract.channels), contract)
    assert tensor.dtype == torch.float32
    assert tensor.shape == contract.shape
    assert np.array_equal(tensor.numpy(), by_hand(path, contract))


def test_an_image_of_the_right_size_is_not_resampled():
    contract = InputContract(height=9, width=7, **COLOUR)
    image = picture(0, (9, 7))
    assert np.array_equal(to_pixels(image, contract), np.asarray(image))


def test_crop_keeps_the_centre_and_letterbox_keeps_all():
    image = Image.new("L", (30, 10), 255)
    image.paste(0, (0, 0, 10, 10))  # the left third is black
    crop = to_pixels(image, InputContract(height=10, width=10, resize="crop", **GRAY))
    assert crop.min() == 255
    boxed = to_pixels(image, InputContract(height=30, width=30, resize="letterbox", **GRAY))[..., 0]
    assert boxed[0].max() == boxed[-1].max() == 0
    assert boxed[15, 15:].min() == 255


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "1", "I;16", "CMYK"])
def test_an_image_of_any_mode_may_be_given(mode):
    contract = InputContract(height=6, width=6, **COLOUR)
    tensor = preprocess(Image.new(mode, (12, 10)), contract)
    assert tensor.shape == (3, 6, 6)
    assert torch.isfinite(tensor).all()


def test_the_image_that_is_given_is_left_as_it_was():
    image = picture(0, (9, 9))
    before = image.copy()
    preprocess(image, InputContract(height=4, width=4, **COLOUR))
    assert image == before
