"""Photographs of 32 x 32 pixels from an archive of `SPLIT/CLASS/NUMBER.jpg`, such as CIFAR-10 as JPEG files."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import TensorDataset

from benchmarks.photograph_search.setting import CLASSES, SIDE, Setting
from pocketcnn.errors import UsageError


@dataclass(frozen=True)
class Photographs:
    """Images (N, 3, 32, 32) from -1 to 1, with labels, in three parts."""

    train: TensorDataset
    val: TensorDataset
    test: TensorDataset


def photographs(archive: Path, setting: Setting) -> Photographs:
    """The first images by number of each class: of `train/` for training, the next for validation, and those of `test/`.

    The archive is read in one pass, and nothing is unpacked.

    Raises:
        UsageError: the archive has fewer images or classes.
    """
    counts = {
        "train": range(setting.train // CLASSES),
        "val": range(setting.train // CLASSES, (setting.train + setting.val) // CLASSES),
        "test": range(setting.test // CLASSES),
    }
    found: dict[str, dict[tuple[str, int], Tensor]] = {part: {} for part in counts}
    with tarfile.open(archive) as packed:
        for member in packed:
            part, key = _place(PurePosixPath(member.name), counts)
            if part is not None and member.isfile():
                with Image.open(packed.extractfile(member)) as picture:  # type: ignore[arg-type]
                    found[part][key] = _pixels(picture)
    names = sorted({label for label, _ in found["train"]})
    for part, numbers in counts.items():
        if len(names) != CLASSES or len(found[part]) != CLASSES * len(numbers):
            raise UsageError(
                f"{archive} has {len(found[part])} images of {len(names)} classes for {part}; "
                f"{CLASSES * len(numbers)} of {CLASSES} are needed, as SPLIT/CLASS/NUMBER.jpg."
            )
    return Photographs(*(_dataset(found[part], names) for part in counts))


def _place(path: PurePosixPath, counts: Mapping[str, range]) -> tuple[str | None, tuple[str, int]]:
    """The part to which a file belongs, if any, its class and number."""
    if len(path.parts) < 3 or not path.stem.isdigit():
        return None, ("", 0)
    split, label, number = path.parts[-3], path.parts[-2], int(path.stem)
    parts = ("test",) if split == "test" else ("train", "val") if split == "train" else ()
    return next((part for part in parts if number in counts[part]), None), (label, number)


def _pixels(picture: Image.Image) -> Tensor:
    small = picture.convert("RGB")
    if small.size != (SIDE, SIDE):
        small = small.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def _dataset(images: Mapping[tuple[str, int], Tensor], names: list[str]) -> TensorDataset:
    keys = sorted(images)
    pixels = torch.stack([images[key] for key in keys]).to(torch.float32) / 127.5 - 1
    return TensorDataset(pixels, torch.tensor([names.index(label) for label, _ in keys]))
