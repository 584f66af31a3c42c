"""Reading of image files as viewers show them: upright, on white, 8 bits per channel.

The format is detected from the content, not from the name, and only decoders that start no other program are used.
"""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pocketcnn.data.decoder_warnings import collect_decoder_warnings
from pocketcnn.data.pixels import (
    DEEP_GRAY_MODES,
    SIDEWAYS,
    NoAgreedRange,
    known_formats,
    orientation,
    to_8bit_image,
    upright,
)
from pocketcnn.data.report import Finding, Kind, Outcome
from pocketcnn.data.same_pictures import Look, look_of
from pocketcnn.errors import PocketcnnError

# fmt: off
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".heic", ".heif", ".hif",
))
_NOT_ALWAYS_READ = {
    ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".webp": "WEBP", ".avif": "AVIF", ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF",
}
_HOW_TO_READ = {"HEIF": "pip install pillow-heif", "AVIF": "pip install --upgrade pillow"}
UNSUPPORTED_SUFFIXES = frozenset((
    ".jxl", ".svg", ".psd", ".tga", ".ico", ".eps", ".exr", ".hdr", ".dcm",
    ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2",
))
# fmt: on

MAX_PIXELS = 89_478_485  # 0.25 GiB of 24-bit pixels, the size above which Pillow warns of a decompression bomb
MAX_FILE_BYTES = 512 * 2**20
SMALLEST_SIDE = 2  # pixels; less shows nothing
LARGEST_ASPECT = 10  # no resize policy leaves much of such an image

GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
_PLAIN_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"})


def why_unsupported(path: Path) -> str:
    """Why no file of this name can be read here, and what to install where that helps; an empty string if it can be."""
    suffix = path.suffix.lower()
    form = _NOT_ALWAYS_READ.get(suffix)
    if form is not None and form not in known_formats():
        return f"{suffix}, to read it: {_HOW_TO_READ[form]}" if form in _HOW_TO_READ else suffix
    return suffix if suffix in UNSUPPORTED_SUFFIXES else ""


class UnusableImage(PocketcnnError):
    """A file that cannot be used as an image; `kind` is its kind in the report."""

    def __init__(self, path: Path, kind: Kind, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"Cannot use the image {path}: {Finding.of('', kind, detail).done}.")


@dataclass(frozen=True)
class ImageProblem:
    """Why a file is not a plain 8-bit image: it is skipped (`usable` is False) or converted when it is read."""

    path: Path
    kind: Kind
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Whether `load_image` can read the file."""
        return self.kind.outcome is not Outcome.SKIPPED


@dataclass(frozen=True)
class ImageCheck:
    """The check of one file: SHA-256 of its bytes (empty if unreadable), its problems, and whether it is grey."""

    digest: str
    problems: tuple[ImageProblem, ...]
    gray: bool
    size: tuple[int, int] = (0, 0)
    """(height, width) of the upright image in pixels; 0 if unreadable."""

    look: Look | None = None
    """What the image looks like, to find copies of it in other bytes."""

    @property
    def usable(self) -> bool:
        """Whether the file decodes to an image."""
        return all(problem.usable for problem in self.problems)


def load_image(path: Path, channels: int, deep_range: tuple[int, int] = (0, 65535)) -> Image.Image:
    """Read `path` as an 8-bit image in mode ``L`` (channels=1, luminance of ITU-R 601) or ``RGB`` (channels=3).

    Animations: first frame. EXIF orientation is applied. Transparent pixels are blended with white. 16-bit
    grey is scaled from `deep_range`.

    Raises:
        UnusableImage: the file is missing, empty, truncated, not an image, or too large to decode safely.
    """
    with collect_decoder_warnings():
        data = _read(path)
        with _failures_explained(path), _open(data) as image:
            return to_8bit_image(image, channels, deep_range)


def deep_range_of(path: Path) -> tuple[int, int] | None:
    """The values of a 16-bit grey image without the lowest and highest thousandth; None for other images.

    Raises:
        UnusableImage: as `load_image`.
    """
    with collect_decoder_warnings():
        data = _read(path)
        with _failures_explained(path), _open(data) as image:
            if image.mode not in DEEP_GRAY_MODES:
                return None
            low, high = np.percentile(np.asarray(image).astype(np.int64), (0.1, 99.9))
            return int(np.floor(low)), int(np.ceil(high))


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of the upright image, from the header of the file.

    Raises:
        UnusableImage: as `load_image`, as far as the header shows it.
    """
    with collect_decoder_warnings():
        data = _read(path)
        with _failures_explained(path), _open(data) as image:
            return _upright_size(image)


def check_image(path: Path) -> ImageProblem | None:
    """Decode `path` fully. None for a plain image; else why it is skipped, or the first conversion that it needs."""
    problems = [problem for problem in validate_image(path).problems if problem.kind.outcome is not Outcome.NOTED]
    return problems[0] if problems else None


def validate_image(path: Path) -> ImageCheck:
    """Read and decode `path` once and collect all findings. Does not raise for an invalid file."""
    digest = ""
    with collect_decoder_warnings() as warned:
        try:
            data = _read(path)
            digest = hashlib.sha256(data).hexdigest()
            with _failures_explained(path), _open(data) as image:
                kinds = (*_conversions(image), *([Kind.ANIMATED] if _is_animated(data) else []))
                gray = image.mode in GRAY_MODES
                size = _upright_size(image)
                _check_convertible(image)
                look = _look(image)
        except UnusableImage as error:
            return ImageCheck(digest, (ImageProblem(path, error.kind, error.detail),), gray=False)
    problems = [ImageProblem(path, kind) for kind in kinds]
    problems += [ImageProblem(path, Kind.WARNING, message) for message in dict.fromkeys(warned)]
    problems += [ImageProblem(path, kind, f"{size[0]} x {size[1]}, height x width") for kind in _odd_shape(size)]
    return ImageCheck(digest, tuple(problems), gray, size, look)


def _look(image: Image.Image) -> Look:
    """16-bit images are scaled by their own range, and compared with each other only."""
    if image.mode not in DEEP_GRAY_MODES:
        return look_of(to_8bit_image(image, channels=3))
    values = np.asarray(upright(image)).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    gray = Image.fromarray(((values - low) * 255 // max(1, high - low)).astype(np.uint8))
    return replace(
        look_of(gray), pixels=hashlib.sha256(f"16 bits {values.shape}".encode() + values.tobytes()).hexdigest()
    )


def _odd_shape(size: tuple[int, int]) -> Iterator[Kind]:
    if min(size) < SMALLEST_SIDE:
        yield Kind.TINY
    if max(size) > LARGEST_ASPECT * min(size):
        yield Kind.THIN


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (width, height) if orientation(image) in SIDEWAYS else (height, width)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnusableImage(path, Kind.TOO_LARGE, f"the file is over {MAX_FILE_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UnusableImage(path, Kind.UNREADABLE, error.strerror or str(error)) from error
    if not data:
        raise UnusableImage(path, Kind.EMPTY_FILE)
    return data


def _open(data: bytes) -> Image.Image:
    """The image in `data`, not decoded yet."""
    image = Image.open(io.BytesIO(data), formats=known_formats())
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"{width} x {height} pixels; the limit is {MAX_PIXELS}")
    return image


@contextlib.contextmanager
def _failures_explained(path: Path) -> Iterator[None]:
    """Translate the exceptions of decoders, which can be of any type for a damaged file, to `UnusableImage`."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise UnusableImage(path, Kind.TOO_LARGE, str(error)) from error
    except UnidentifiedImageError as error:
        raise UnusableImage(path, Kind.UNREADABLE, "no known image format") from error
    except NoAgreedRange as error:
        raise UnusableImage(path, Kind.UNSUPPORTED, str(error)) from error
    except Exception as error:
        kind = Kind.TRUNCATED if _looks_truncated(error) else Kind.UNREADABLE
        raise UnusableImage(path, kind, str(error) or type(error).__name__) from error


def _looks_truncated(error: Exception) -> bool:
    return isinstance(error, EOFError) or "truncated" in str(error).lower()


def _conversions(image: Image.Image) -> Iterator[Kind]:
    """The conversions that `to_8bit_image` will apply. Decodes `image`, which must not be decoded yet."""
    if image.mode in DEEP_GRAY_MODES or _stored_in_16_bits(image):
        yield Kind.SIXTEEN_BIT
    image.load()
    if orientation(image) in range(2, 9):
        yield Kind.ROTATED
    if image.mode == "CMYK":
        yield Kind.CMYK
    elif image.mode not in _PLAIN_MODES | DEEP_GRAY_MODES:
        yield Kind.COLOUR_SPACE
    if image.mode in ("P", "PA"):
        yield Kind.PALETTE
    if _is_transparent(image):
        yield Kind.TRANSPARENT


def _is_animated(data: bytes) -> bool:
    """Whether there are several frames. Uses its own decoder, because counting frames changes the decoder's state."""
    with _open(data) as image:
        try:
            return bool(getattr(image, "is_animated", False))
        except Exception:  # further frames are damaged; only the first is used
            return True


def _check_convertible(image: Image.Image) -> None:
    """Raise what `to_8bit_image` would raise. For 8-bit images one pixel suffices, since only the mode matters."""
    to_8bit_image(image if image.mode in {"F", *DEEP_GRAY_MODES} else image.crop((0, 0, 1, 1)), channels=3)


def _stored_in_16_bits(image: Image.Image) -> bool:
    """Whether the file has 16 bits per channel. Pillow reduces them on decoding, so this is known only before."""
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel is transparent."""
    if not image.has_transparency_data or image.mode in DEEP_GRAY_MODES:
        return False
    alpha = np.asarray((image if image.mode in ("RGBA", "LA") else image.convert("RGBA")).getchannel("A"))
    return bool(alpha.min() < 255)
