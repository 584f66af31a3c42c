"""Inference of an input contract from an image folder: size, channels, resize policy and pixel statistics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pocketcnn.data.folder import ImageFolder
from pocketcnn.data.images import deep_range_of, image_size, load_image
from pocketcnn.data.preprocess import to_pixels
from pocketcnn.data.report import Kind
from pocketcnn.data.threads import thread_map
from pocketcnn.errors import UsageError
from pocketcnn.graph.contract import InputContract, ResizePolicy

SAMPLED_IMAGES = 1024
LARGEST_SIDE = 224  # the usual input of ImageNet networks; larger sizes must be chosen explicitly
SIMILAR_SHARE = 0.95  # this share of the images ...
SAME_ASPECT = 1.1  # ... within this factor of the median aspect ratio: stretching is then not visible
OBLONG = 1.5  # an aspect ratio that differs by this factor from that of the input ...
OBLONG_SHARE = 0.05  # ... in this share of the images is worth a note
WHOLE_RANGE = (0, 65535)
SHAPES_SAMPLED = 256
SMALLEST_STD = 1 / 255

Floats = npt.NDArray[np.float64]


def infer_contract(
    folder: ImageFolder,
    size: int | tuple[int, int] | None = None,
    channels: Literal[1, 3] | None = None,
    workers: int | None = None,
) -> InputContract:
    """Infer the input contract from up to 1024 training images, spread evenly over the classes.

    The resize policy is that of `folder.resize`, or else `resize_policy` of their sizes.

    Args:
        size: side of a square, or (height, width); None takes the median size of the images, at most 224 on the
            longer side (a square where the images are cropped).
        channels: None takes 1 if every sampled image is grey, else 3.

    Raises:
        UsageError: the size is not from 1 to 8192 pixels.
        UnusableImage: a file was changed since the scan.
    """
    paths = _evenly([sample.path for sample in folder.train], SAMPLED_IMAGES)
    sizes = np.array(list(thread_map(image_size, paths, workers)), dtype=np.float64)
    policy = folder.resize or resize_policy(sizes)
    height, width = _chosen_size(size) or native_size(sizes, policy)
    read_as: Literal[1, 3] = channels or 3
    deep_range = _deep_range(folder, paths, workers)
    raw = InputContract(
        channels=read_as,
        height=height,
        width=width,
        resize=policy,
        mean=(0.0,) * read_as,
        std=(1.0,) * read_as,
        deep_range=deep_range,
    )
    sums = list(thread_map(lambda path: _sum_up(path, raw), paths, workers))
    if channels is None:
        channels = 1 if all(image.gray for image in sums) else 3
    mean, std = _statistics(sums, channels)
    return InputContract(
        channels=channels, height=height, width=width, resize=policy, mean=mean, std=std, deep_range=deep_range
    )


def resize_policy(sizes: Floats) -> ResizePolicy:
    """``stretch`` if 95 % of `sizes` (N, 2: height, width) have about the same aspect ratio, else ``crop``."""
    aspect = sizes[:, 1] / sizes[:, 0]
    similar = np.abs(np.log(aspect / np.median(aspect))) <= np.log(SAME_ASPECT)
    return "stretch" if similar.mean() >= SIMILAR_SHARE else "crop"


def native_size(sizes: Floats, policy: ResizePolicy) -> tuple[int, int]:
    """The median (height, width) of `sizes` (N, 2), at most `LARGEST_SIDE`; for ``crop`` a square of the median short side."""
    median = np.median(sizes, axis=0) if policy == "stretch" else np.full(2, np.median(sizes.min(axis=1)))
    height, width = np.maximum(1, np.round(median * min(1.0, LARGEST_SIDE / median.max()))).astype(int)
    return int(height), int(width)


def describe(folder: ImageFolder, contract: InputContract) -> list[str]:
    """What a user should know of the images before a training: the summary of the report, and the notes, one a line."""
    return [*folder.report.summary(), *folder.notes, *contract_notes(folder, contract)]


def contract_notes(folder: ImageFolder, contract: InputContract) -> list[str]:
    """Notes on what the resize policy of the contract does to the images of a folder, if their shapes are others."""
    return [*_notes_on_range(contract), *_notes_on_shapes(folder, contract)]


def _deep_range(folder: ImageFolder, paths: Sequence[Path], workers: int | None) -> tuple[int, int]:
    """The range of values of the 16-bit grey images among `paths`; the whole one if they use more than half of it."""
    if not folder.report.of(Kind.SIXTEEN_BIT):
        return WHOLE_RANGE
    found = [values for values in thread_map(deep_range_of, paths, workers) if values is not None]
    if not found:
        return WHOLE_RANGE
    low, high = min(low for low, _ in found), max(high for _, high in found)
    return (low, high) if 0 < high - low <= WHOLE_RANGE[1] // 2 else WHOLE_RANGE


def _notes_on_range(contract: InputContract) -> Iterator[str]:
    if contract.deep_range != WHOLE_RANGE:
        low, high = contract.deep_range
        yield (
            f"The 16-bit images use the values {low} to {high} of 65,536: these become 0 to 255. The input contract "
            "records it, so that the same is done wherever the network runs."
        )


def _notes_on_shapes(folder: ImageFolder, contract: InputContract) -> Iterator[str]:
    paths = _evenly([sample.path for sample in folder.train], SHAPES_SAMPLED)
    sizes = np.array(list(thread_map(image_size, paths)), dtype=np.float64)
    ratio = np.exp(np.abs(np.log(sizes[:, 1] / sizes[:, 0] * contract.height / contract.width)))
    oblong = ratio[ratio > OBLONG]
    if len(oblong) < OBLONG_SHARE * len(ratio):
        return
    typical, others = np.median(oblong), [policy for policy in get_args(ResizePolicy) if policy != contract.resize]
    effect = {
        "crop": f"{1 - 1 / typical:.0%} of such an image is cut off",
        "stretch": f"such an image is distorted {typical:.1f} times",
        "letterbox": f"{1 - 1 / typical:.0%} of the input is black",
    }[contract.resize]
    yield (
        f"{len(oblong) / len(ratio):.0%} of the images have another shape than the input ({contract.height} x {contract.width}): "
        f"with --fit {contract.resize}, {effect} (median). The other ways are --fit {' and '.join(others)}."
    )


@dataclass(frozen=True)
class _Sums:
    """Per channel, for pixels in 0 … 1: sum, sum of squares, number of pixels."""

    total: Floats
    squares: Floats
    pixels: int
    gray: bool


def _sum_up(path: Path, contract: InputContract) -> _Sums:
    image = load_image(path, contract.channels, contract.deep_range)
    pixels = to_pixels(image, contract).reshape(-1, contract.channels) / 255.0
    return _Sums(pixels.sum(axis=0), (pixels**2).sum(axis=0), len(pixels), _all_gray(np.asarray(image)))


def _all_gray(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether pixels (H, W) or (H, W, 3) are grey."""
    return pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())


def _statistics(sums: Sequence[_Sums], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels, rounded to four digits."""
    pixels = sum(image.pixels for image in sums)
    mean = np.sum([image.total for image in sums], axis=0) / pixels
    variance = np.sum([image.squares for image in sums], axis=0) / pixels - mean**2
    std = np.sqrt(np.maximum(variance, SMALLEST_STD**2))
    return tuple(round(float(m), 4) for m in mean[:channels]), tuple(round(float(s), 4) for s in std[:channels])


def _evenly(paths: Sequence[Path], most: int) -> list[Path]:
    """Up to `most` of `paths`, equally spaced: the samples are sorted by class, so all classes are represented."""
    indices = np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int))
    return [paths[index] for index in indices]


def _chosen_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= 8192 and 1 <= width <= 8192):
        raise UsageError(f"The sides of the input must be from 1 to 8192 pixels, not {height} x {width}.")
    return height, width
