"""Image files for the tests of the data package, made with Pillow or by hand where Pillow cannot write them."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (12, 10), channels: int = 3) -> Image.Image:
    """A random image of `size` (height, width); different seeds give different bytes."""
    shape = size if channels == 1 else (*size, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def fill(folder: Path, count: int, first_seed: int, channels: int = 3) -> Path:
    """`count` different pictures in `folder`."""
    for number in range(count):
        save(picture(first_seed + number, channels=channels), folder / f"{number:03d}.png")
    return folder


def write_rgb16_png(path: Path, value: int, size: int = 4) -> Path:
    """A 16-bit colour PNG, all samples `value`; Pillow can read but not write them."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + np.full((size, 3), value, ">u2").tobytes() for _ in range(size))
    header = struct.pack(">IIBBBBB", size, size, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path
