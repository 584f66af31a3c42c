"""Image files of every common kind, read as a person would see them: upright, on white, 8 bits a channel.

Files are identified by their content, never by their name, and only by decoders that run no other program.
"""

import contextlib
import functools
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pocketcnn.data.decoder_warnings import collect_decoder_warnings
from pocketcnn.data.report import Finding, Kind, Outcome
from pocketcnn.errors import PocketcnnError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
# fmt: off
SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif",
))
UNSUPPORTED_SUFFIXES = frozenset((
    ".heic", ".heif", ".jxl", ".svg", ".psd", ".tga", ".ico", ".eps", ".exr", ".hdr", ".dcm",
    ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2",
))
# fmt: on

MAX_PIXELS = 89_478_485  # a quarter GiB of 24-bit pixels: the size from which Pillow warns of a decompression bomb
MAX_FILE_BYTES = 512 * 2**20

GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
_PLAIN_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"})
_SIDEWAYS = range(5, 9)  # the EXIF orientations that swap height and width
_DEEP_GRAY_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


class UnusableImage(PocketcnnError):
    """A file that cannot be used as an image; `kind` says how it is listed in the report."""

    def __init__(self, path: Path, kind: Kind, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"Cannot use the image {path}: {Finding.of('', kind, detail).done}.")


@dataclass(frozen=True)
class ImageProblem:
    """Why a file is not a plain 8-bit image: skipped (`usable` is False), or converted when it is read."""

    path: Path
    kind: Kind
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Whether `load_image` reads the file all the same."""
        return self.kind.outcome is not Outcome.SKIPPED


@dataclass(frozen=True)
class ImageCheck:
    """One file, read and decoded once: SHA-256 of its bytes (empty when unreadable), what was found, grey or not."""

    digest: str
    problems: tuple[ImageProblem, ...]
    gray: bool

    @property
    def usable(self) -> bool:
        """Whether the file decodes to an image."""
        return all(problem.usable for problem in self.problems)


class _NoAgreedRange(ValueError):
    """Pixels that cannot be brought to 8 bits without knowing what they measure."""


def load_image(path: Path, channels: int) -> Image.Image:
    """Read `path` as an 8-bit image in mode ``L`` (channels=1, luminance of ITU-R 601) or ``RGB`` (channels=3).

    The first frame of an animation; turned as EXIF says; transparent parts on white; 16 bits scaled to 8.

    Raises:
        UnusableImage: the file is missing, empty, truncated, not an image, or too large to decode safely.
    """
    with collect_decoder_warnings():
        data = _read(path)
        with _failures_explained(path), _open(data) as image:
            return to_8bit_image(image, channels)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of the upright image, from the head of the file.

    Raises:
        UnusableImage: as `load_image`, as far as the head tells.
    """
    with collect_decoder_warnings():
        data = _read(path)
        with _failures_explained(path), _open(data) as image:
            width, height = image.size
            return (width, height) if _orientation(image) in _SIDEWAYS else (height, width)


def to_8bit_image(image: Image.Image, channels: int) -> Image.Image:
    """An opened image as `load_image` would give it. Applying it twice changes nothing more.

    Raises:
        ValueError: the pixels are 32-bit numbers, which have no agreed range.
    """
    image = _upright(image)
    image = _to_eight_bits(image)
    image = _on_white(image)
    if image.mode not in ("1", "L"):
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def check_image(path: Path) -> ImageProblem | None:
    """Decode `path` fully. None for a plain image; else why it is skipped, or the first conversion it needs."""
    problems = [problem for problem in validate_image(path).problems if problem.kind is not Kind.WARNING]
    return problems[0] if problems else None


def validate_image(path: Path) -> ImageCheck:
    """Read and decode `path` once and say all there is to say about it. Never raises for a bad file."""
    digest = ""
    with collect_decoder_warnings() as warned:
        try:
            data = _read(path)
            digest = hashlib.sha256(data).hexdigest()
            with _failures_explained(path), _open(data) as image:
                kinds = (*_conversions(image), *([Kind.ANIMATED] if _is_animated(data) else []))
                gray = image.mode in GRAY_MODES
                _check_convertible(image)
        except UnusableImage as error:
            return ImageCheck(digest, (ImageProblem(path, error.kind, error.detail),), gray=False)
    problems = [ImageProblem(path, kind) for kind in kinds]
    problems += [ImageProblem(path, Kind.WARNING, message) for message in dict.fromkeys(warned)]
    return ImageCheck(digest, tuple(problems), gray)


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
    image = Image.open(io.BytesIO(data), formats=_formats())
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"{width} x {height} pixels, the most is {MAX_PIXELS}")
    return image


@contextlib.contextmanager
def _failures_explained(path: Path) -> Iterator[None]:
    """A damaged file can make a decoder fail in any way at all; whichever way, the image is unusable."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise UnusableImage(path, Kind.TOO_LARGE, str(error)) from error
    except UnidentifiedImageError as error:
        raise UnusableImage(path, Kind.UNREADABLE, "no known image format") from error
    except _NoAgreedRange as error:
        raise UnusableImage(path, Kind.UNSUPPORTED, str(error)) from error
    except Exception as error:
        kind = Kind.TRUNCATED if _looks_truncated(error) else Kind.UNREADABLE
        raise UnusableImage(path, kind, str(error) or type(error).__name__) from error


def _looks_truncated(error: Exception) -> bool:
    return isinstance(error, EOFError) or "truncated" in str(error).lower()


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()  # AVIF and JPEG 2000 depend on how Pillow was built
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _conversions(image: Image.Image) -> Iterator[Kind]:
    """What `to_8bit_image` will change. `image` comes undecoded and is decoded on the way."""
    if image.mode in _DEEP_GRAY_MODES or _stored_in_16_bits(image):
        yield Kind.SIXTEEN_BIT
    image.load()
    if _orientation(image) in range(2, 9):
        yield Kind.ROTATED
    if image.mode == "CMYK":
        yield Kind.CMYK
    elif image.mode not in _PLAIN_MODES | _DEEP_GRAY_MODES:
        yield Kind.COLOUR_SPACE
    if image.mode in ("P", "PA"):
        yield Kind.PALETTE
    if _is_transparent(image):
        yield Kind.TRANSPARENT


def _is_animated(data: bytes) -> bool:
    """Whether frames follow the first. Counting them may leave the decoder in the middle of one, so it gets its own."""
    with _open(data) as image:
        try:
            return bool(getattr(image, "is_animated", False))
        except Exception:  # more frames, but damaged ones: the first is what is used
            return True


def _check_convertible(image: Image.Image) -> None:
    """Fail as `to_8bit_image` would. For 8-bit images one pixel is enough: only the mode decides."""
    to_8bit_image(image if image.mode in {"F", *_DEEP_GRAY_MODES} else image.crop((0, 0, 1, 1)), channels=3)


def _stored_in_16_bits(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel, which Pillow reduces when it decodes; known only before that."""
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block does not make the pixels wrong
        return 1
    return value if isinstance(value, int) else 1


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel lets the background through."""
    if not image.has_transparency_data or image.mode in _DEEP_GRAY_MODES:
        return False
    alpha = np.asarray((image if image.mode in ("RGBA", "LA") else image.convert("RGBA")).getchannel("A"))
    return bool(alpha.min() < 255)


def _upright(image: Image.Image) -> Image.Image:
    return ImageOps.exif_transpose(image) if _orientation(image) in range(2, 9) else image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled by 255/65535. (Pillow itself reduces 16-bit colour when it decodes.)"""
    if image.mode == "F":
        raise _NoAgreedRange("floating-point pixels have no agreed range: convert the image to 8 or 16 bits")
    if image.mode not in _DEEP_GRAY_MODES:
        return image
    pixels = np.asarray(image).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise _NoAgreedRange("32-bit pixels have no agreed range: convert the image to 8 or 16 bits")
    return Image.fromarray(((pixels * 255 + 32767) // 65535).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
