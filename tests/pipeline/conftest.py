"""A small but real folder of digits, and a `fit` on it that many tests look at."""

from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pocketcnn.pipeline.fit.fit import fit
from pocketcnn.records.result import FitResult
from tests.support.pipeline import BUDGET, NETWORKS, TINY


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 60 digits each."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    for label in (0, 1, 4):
        (folder / str(label)).mkdir()
        for index in (data.target == label).nonzero()[0][:60]:
            Image.fromarray((data.images[index] * 15).astype("uint8")).save(folder / str(label) / f"{index}.png")
    return folder


@pytest.fixture(scope="session")
def fitted(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, Path]:
    """The result of a small fit, and the folder that it left."""
    out = tmp_path_factory.mktemp("fit")
    return fit(digits, BUDGET, out, effort=TINY, networks=NETWORKS, command="pocketcnn fit digits"), out
