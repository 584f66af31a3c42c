"""`pocketcnn compress` of networks of other libraries: one line each, and the result lives without that library."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

RELOADED = """
import sys
import torch
import pocketcnn as pc

network = pc.load("small.safetensors").eval()
assert network.info.classes == ("0", "1", "4"), network.info.classes
answer = network(torch.zeros(2, *network.info.input.shape))
assert answer.shape == (2, 3)
assert not {"timm", "torchvision"} & set(sys.modules)
print(pc.count(network).madds)
"""
TRAINING = "epochs = 3\nbatch_size = 16\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 24 digits."""
    folder = tmp_path_factory.mktemp("names") / "photos"
    data = load_digits()
    for label in (0, 1, 4):
        (folder / str(label)).mkdir(parents=True)
        for index in (data.target == label).nonzero()[0][:24]:
            picture = Image.fromarray((data.images[index] * 15).astype("uint8"))
            picture.save(folder / str(label) / f"{index}.png")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name", ["timm:mobilenetv3_small_100", "torchvision:shufflenet_v2_x1_0", "torchvision:resnet18", "mobilenet_v2"]
)
def test_one_line_makes_it_small_and_it_reloads_in_a_clean_process(name: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TRAINING)
    command = [name, str(photos), "--budget", "macs<=50%", "--out", "small.safetensors"]
    scratch = ["--from-scratch"] if ":" in name else []
    quicker = [*scratch, "--size", "32", "--effort", "quick", "--recipe", "recipe.toml"]
    done = run("-m", "pocketcnn", "compress", *command, *quicker, folder=tmp_path)
    assert "is not trained yet: training it on" in done.stderr
    assert (tmp_path / "small" / "report.html").is_file()
    counted = run("-c", RELOADED, folder=tmp_path).stdout
    line = next(line for line in done.stderr.splitlines() if line.startswith("given: "))
    whole = float(line.partition(", ")[2].partition(" M multiply-adds")[0]) * 1e6
    assert 0 < int(counted) <= 0.501 * whole


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, warnings being errors; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done
