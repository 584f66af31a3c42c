"""Two small unbalanced sets: clip art of Debian's package openclipart-png, and photographs of groceries."""

import random
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

CLIP_ART: Mapping[str, int] = {
    "recreation": 300,
    "people": 150,
    "food": 97,
    "animals": 70,
    "transportation": 60,
    "plants": 30,
}
"""Classes with their number of pictures."""

GROCERIES = ("Royal-Gala", "Granny-Smith", "Orange", "Banana", "Kiwi", "Lemon", "Carrots", "Watermelon")
LONGEST_SIDE = 96
LARGEST_FILE = 300_000
"""Bytes; some drawings have hundreds of millions of pixels."""


def clip_art(root: Path) -> Path:
    """Download the package, unpack it into a temporary folder, and write a seeded choice of pictures to `root`/CLASS."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "openclipart-png"], cwd=folder, check=True, capture_output=True)
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", package.name, "x"], cwd=folder, check=True, capture_output=True)
        place = Path(folder) / "x" / "usr" / "share" / "openclipart" / "png"
        for name, count in CLIP_ART.items():
            pictures = [path for path in sorted((place / name).rglob("*.png")) if path.stat().st_size < LARGEST_FILE]
            _write(random.Random(0).sample(pictures, count), root / name)
    return root


def groceries(root: Path, archive: Path) -> Path:
    """The classes `GROCERIES` of an archive of `groceries/SPLIT/CLASS/*`, all splits together, in `root`/CLASS."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        for name in GROCERIES:
            _write(sorted(Path(folder).glob(f"groceries/*/{name}/*")), root / name)
    return root


def _write(pictures: Sequence[Path], folder: Path) -> None:
    """Pictures of at most `LONGEST_SIDE` pixels, as PNG files with numbers as names."""
    folder.mkdir(parents=True)
    for number, path in enumerate(pictures):
        with Image.open(path) as picture:
            small = picture.convert("RGBA") if picture.mode in ("P", "LA") else picture.copy()
            small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            small.save(folder / f"{number:04d}.png")
