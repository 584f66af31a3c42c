"""From an opened image to the network's input, with Pillow and NumPy alone.

This file is also the part of `predict.py` and of the report's snippet that prepares images: both contain its text. So it imports
nothing else, and what runs beside a deployed file is what training and evaluation ran.
"""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
SIDEWAYS = range(5, 9)  # the EXIF orientations that swap height and width
DEEP_GRAY_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


class NoAgreedRange(ValueError):
    """Pixels whose value range is not defined, so that they cannot be scaled to 8 bits."""


@functools.cache
def known_formats() -> tuple[str, ...]:
    """The formats that are read; the format is detected from the content of a file."""
    Image.init()  # AVIF and JPEG 2000 depend on how Pillow was built
    with contextlib.suppress(ImportError):  # HEIF, the photographs of many phones, needs this library
        from pillow_heif import register_heif_opener

        register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 is upright."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # the pixels are valid although the EXIF block is damaged
        return 1
    return value if isinstance(value, int) else 1


def upright(image: Image.Image) -> Image.Image:
    """The image as a viewer shows it: rotated by its EXIF orientation."""
    return ImageOps.exif_transpose(image) if orientation(image) in range(2, 9) else image


def to_eight_bits(image: Image.Image, deep_range: Sequence[int] = (0, 65535)) -> Image.Image:
    """16-bit grey, of which the values of `deep_range` become 0 to 255. (16-bit colour is reduced by Pillow on decoding.)"""
    if image.mode == "F":
        raise NoAgreedRange("floating-point pixels have no defined range: convert the image to 8 or 16 bits")
    if image.mode not in DEEP_GRAY_MODES:
        return image
    pixels = np.asarray(image).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise NoAgreedRange("32-bit pixels have no defined range: convert the image to 8 or 16 bits")
    low, high = deep_range
    pixels = np.clip(pixels, low, high) - low
    return Image.fromarray(((pixels * 255 + (high - low) // 2) // (high - low)).astype(np.uint8))


def on_white(image: Image.Image) -> Image.Image:
    """The image with its transparent pixels blended with white."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def to_8bit_image(image: Image.Image, channels: int, deep_range: Sequence[int] = (0, 65535)) -> Image.Image:
    """An opened image as 8 bits in mode ``L`` (channels=1, luminance of ITU-R 601) or ``RGB`` (channels=3).

    Animations: first frame. EXIF orientation is applied. Transparent pixels are blended with white. 16-bit grey is
    scaled from `deep_range`.
    The function is idempotent.

    Raises:
        ValueError: the pixels are 32-bit numbers, which have no defined range.
    """
    image = on_white(to_eight_bits(upright(image), deep_range))
    if image.mode not in ("1", "L"):
        image = in_mode(image, "RGB")
    image = in_mode(image, "L" if channels == 1 else "RGB")
    image.load()  # an opened file may be closed now
    return image


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image in another mode, or itself; `convert` would copy it."""
    return image if image.mode == mode else image.convert(mode)


def resized(image: Image.Image, size: tuple[int, int], resize: str, interpolation: str) -> Image.Image:
    """The image at `size` (width, height). `resize`: ``stretch``, ``crop`` (the centre) or ``letterbox`` (black borders)."""
    method = Image.Resampling[interpolation.upper()]
    if resize == "crop":
        return ImageOps.fit(image, size, method)
    if resize == "letterbox":
        return ImageOps.pad(image, size, method, color=0)
    return image.resize(size, method)


def network_input(path: str, contract: Mapping[str, Any]) -> np.ndarray:
    """An image file as the input of a network, float32 (1, C, H, W), by the input contract as in `model.json`."""
    size = (contract["width"], contract["height"])
    with Image.open(path, formats=known_formats()) as opened:
        image = to_8bit_image(opened, contract["channels"], contract.get("deep_range", (0, 65535)))
    image = resized(image, size, contract["resize"], contract["interpolation"])
    pixels = np.asarray(image).astype(np.float32).reshape(contract["height"], contract["width"], contract["channels"])
    pixels = (pixels / np.float32(255) - np.float32(contract["mean"])) / np.float32(contract["std"])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
