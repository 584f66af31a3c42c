"""`predict.py` and the report's snippet answer as the product does, on every kind of image, without pocketcnn and PyTorch."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pocketcnn.data.images import load_image
from pocketcnn.data.preprocess import preprocess
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.pipeline.deploy.export import export_checked
from pocketcnn.pipeline.sidecar import read_sidecar
from pocketcnn.pipeline.train.predict import predict
from pocketcnn.records.result import FitResult
from pocketcnn.report import write_report
from pocketcnn.report.runners import RUNNERS
from pocketcnn.report.standalone import SCRIPT, has_script, script
from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.registry import RUNTIMES, export_formats
from tests.support.image_files import save, write_rgb16_png

CLASSES = tuple(f"class {index} é" for index in range(10))

GRAY = InputContract(channels=1, height=9, width=7, resize="letterbox", mean=(0.4,), std=(0.3,))
CONTRACTS = {
    "stretch": InputContract(channels=3, height=8, width=12, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.1)),
    "crop": InputContract(
        channels=3, height=9, width=9, resize="crop", interpolation="bicubic", mean=(0.1, 0.2, 0.3), std=(0.3, 0.3, 0.4)
    ),
    "grey letterbox": GRAY,
    "nearest": GRAY.model_copy(update={"resize": "crop", "interpolation": "nearest"}),
    "12 bits": GRAY.model_copy(update={"deep_range": (100, 4000)}),
}


def of_every_kind(folder: Path) -> list[Path]:
    """Image files as people have them; each differs from its neighbours, so that an answer says something."""
    random = np.random.default_rng(0)

    def colour(size: tuple[int, int] = (20, 30)) -> Image.Image:
        base = random.integers(0, 256, (1, 1, 3)) + random.integers(-60, 60, (*size, 3))
        return Image.fromarray(base.clip(0, 255).astype(np.uint8))

    def kinds() -> Iterator[tuple[str, Image.Image, dict[str, object]]]:
        for suffix in ("png", "jpg", "bmp", "webp", "gif", "tif", "ppm"):
            yield f"plain.{suffix}", colour(), {}
        for mode in ("L", "1", "P", "LA", "RGBA", "RGBX"):
            yield f"{mode}.{'tif' if mode == 'RGBX' else 'png'}", colour().convert(mode), {}
        for mode in ("CMYK", "YCbCr", "LAB"):
            yield f"{mode}.tif", colour().convert(mode), {}
        yield "CMYK.jpg", colour().convert("CMYK"), {}
        half = colour().convert("RGBA")
        half.putalpha(Image.fromarray(random.integers(0, 256, (20, 30), dtype=np.uint8)))
        yield "half.png", half, {}
        yield "half.webp", half, {"lossless": True}
        yield "half grey.png", half.convert("LA"), {}
        yield "hole.png", colour().quantize(16), {"transparency": 3}
        yield "hole.gif", colour().quantize(16), {"transparency": 3}
        yield "hole rgb.png", Image.new("RGB", (9, 9), (10, 200, 30)), {"transparency": (10, 200, 30)}
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            yield f"rotated {orientation}.jpg", colour((40, 12)), {"exif": exif}
            if orientation == 6:
                yield "rotated.png", half, {"exif": exif}
        deep = Image.fromarray((random.integers(0, 65536, (20, 30))).astype(np.uint16))
        yield "deep.png", deep, {}
        yield "deep.tif", deep, {}
        yield "thermal.png", Image.fromarray(random.integers(0, 4096, (20, 30)).astype(np.uint16)), {}
        yield "wide.png", colour((3, 200)), {}
        yield "tall.jpg", colour((300, 5)), {}
        yield "one.png", colour((1, 1)), {}
        yield "animated.gif", colour(), {"save_all": True, "append_images": [colour()]}
        yield "animated.png", colour(), {"save_all": True, "append_images": [colour()]}

    paths = [save(image, folder / name, **options) for name, image, options in kinds()]
    write_rgb16_png(folder / "deep colour.png", 40000)
    shutil.copy(paths[0], folder / "a png.jpg")
    (folder / "deep.pgm").write_bytes(b"P5 2 1 65535\n" + np.array([25600, 65535], ">u2").tobytes())
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return of_every_kind(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose packages are all but pocketcnn and PyTorch."""
    packages = tmp_path_factory.mktemp("packages")
    for place in {Path(np.__file__).parents[1], Path(Image.__file__).parents[1]}:
        for entry in place.iterdir():
            absent = entry.name.lower().startswith(("torch", "pocketcnn", "functorch", "__editable__")) or (
                entry.suffix == ".pth"
            )
            if not absent and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": str(packages), "PYTHONIOENCODING": "utf-8"}


def run(elsewhere: dict[str, str], *arguments: object, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-S", *map(str, arguments)],
        env=elsewhere,
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_neither_pocketcnn_nor_torch_elsewhere(elsewhere: dict[str, str], tmp_path: Path) -> None:
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('pocketcnn', 'torch')], bool(u.find_spec('numpy')))"
    assert run(elsewhere, "-c", code, folder=tmp_path) == "[None, None] True\n"


def network(contract: InputContract) -> GraphNetwork:
    """Answers by colour and by where in the image it is."""
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(contract.channels, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d((3, 3)), nn.Flatten(),
        nn.Linear(72, len(CLASSES)),
    )  # fmt: skip
    module[4].weight.data *= 6
    info = ModelInfo(input=contract, classes=CLASSES)
    return GraphNetwork(capture(module.eval(), (1, *contract.shape)), info).eval()


@dataclass(frozen=True)
class Expected:
    """The product's class and probability of each image."""

    names: list[str]
    shares: list[float]


def product(model: Path, images: list[Path]) -> Expected:
    found = predict(model, images, top=1)
    assert not found.skipped
    best = [guesses[0] for _, guesses in found.images]
    return Expected([guess.name for guess in best], [guess.probability for guess in best])


@pytest.mark.parametrize("name", CONTRACTS)
def test_predict_py_answers_as_the_product(
    name: str, pictures: list[Path], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    model = export_checked(network(CONTRACTS[name]), "onnx", tmp_path / "model.onnx").path
    lines = [line.split("\t") for line in run(elsewhere, tmp_path / SCRIPT, *pictures, folder=tmp_path).splitlines()]
    expected = product(model, pictures)
    assert [line[0] for line in lines] == list(map(str, pictures))
    assert [line[1] for line in lines] == expected.names
    assert [float(line[2]) for line in lines] == pytest.approx(expected.shares, abs=1.1e-4)
    assert len(set(expected.names)) > 1


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_inputs_are_the_same_to_the_bit(
    name: str, pictures: list[Path], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    contract = CONTRACTS[name]
    export_checked(network(contract), "onnx", tmp_path / "model.onnx")
    code = (
        "import json, sys, numpy; from predict import network_input\n"
        "contract = json.load(open('model.json', encoding='utf-8'))['input']\n"
        "numpy.save('inputs.npy', numpy.concatenate([network_input(path, contract) for path in sys.argv[1:]]))\n"
    )
    (tmp_path / "inputs.py").write_text(code)
    run(elsewhere, "inputs.py", *pictures, folder=tmp_path)
    expected = [
        preprocess(load_image(path, contract.channels, contract.deep_range), contract).numpy() for path in pictures
    ]
    for path, own, other in zip(pictures, expected, np.load(tmp_path / "inputs.npy"), strict=True):
        assert np.array_equal(own, other), path.name


@pytest.mark.parametrize("to", [name for name, runtime in export_formats().items() if has_script(runtime)])
def test_there_is_a_script_for_each_runtime_without_torch(
    to: str, pictures: list[Path], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    net, contract = network(CONTRACTS["crop"]), CONTRACTS["crop"]
    path = export_checked(net, to, tmp_path / f"net{get_runtime(export_formats()[to]).suffix}").path
    output = run(elsewhere, tmp_path / SCRIPT, *pictures, folder=tmp_path)
    with torch.no_grad():
        inputs = torch.stack([preprocess(load_image(image, contract.channels), contract) for image in pictures])
        best = net(inputs).softmax(1).max(1)
    assert [line.split("\t")[1] for line in output.splitlines()] == [CLASSES[index] for index in best.indices]
    assert [float(line.split("\t")[2]) for line in output.splitlines()] == pytest.approx(best.values.tolist(), abs=2e-4)
    assert read_sidecar(path).runtime == export_formats()[to]


def test_only_runtimes_that_need_pytorch_have_no_script(tmp_path: Path) -> None:
    assert set(RUNTIMES) - set(RUNNERS) == {"torch", "executorch"}


def test_one_script_runs_every_model_beside_it(pictures: list[Path], elsewhere: dict[str, str], tmp_path: Path) -> None:
    first = export_checked(network(CONTRACTS["stretch"]), "onnx", tmp_path / "first.onnx").path
    export_checked(network(GRAY), "onnx", tmp_path / "second.onnx")
    output = run(elsewhere, SCRIPT, "--model", first, *pictures[:5], folder=tmp_path)
    assert [line.split("\t")[1] for line in output.splitlines()] == product(first, pictures[:5]).names


def shown_snippet(result: FitResult, folder: Path) -> str:
    """The snippet as the report shows it."""
    write_report(result, folder / "report.html")
    page = (folder / "report.html").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)
    return html.unescape(shown)


RUN_ON_EACH = """import contextlib, io, json, shutil, sys
answers = []
for path in sys.argv[1:]:
    shutil.copy(path, "image.png")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(open("snippet.py", encoding="utf-8").read(), "snippet.py", "exec"), {"__name__": "__main__"})
    answers.append(said.getvalue())
print(json.dumps(answers))
"""


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_snippet_of_the_report_answers_as_the_product(
    name: str, met_result: FitResult, pictures: list[Path], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    model = export_checked(network(CONTRACTS[name]), "onnx", tmp_path / "model.onnx").path
    data = met_result.data.model_copy(update={"classes": CLASSES})
    result = met_result.model_copy(update={"input": CONTRACTS[name], "data": data})
    (tmp_path / "snippet.py").write_text(shown_snippet(result, tmp_path), encoding="utf-8")
    (tmp_path / "run.py").write_text(RUN_ON_EACH)
    (tmp_path / SCRIPT).unlink()  # the snippet stands alone
    answers = json.loads(run(elsewhere, "run.py", *pictures, folder=tmp_path))
    assert [answer.strip() for answer in answers] == product(model, pictures).names


def test_what_the_product_refuses_the_script_refuses(elsewhere: dict[str, str], tmp_path: Path) -> None:
    export_checked(network(GRAY), "onnx", tmp_path / "model.onnx")
    path = save(Image.fromarray(np.full((2, 2), 0.5, np.float32)), tmp_path / "float.tif")
    done = subprocess.run(
        [sys.executable, "-S", SCRIPT, str(path)],
        env=elsewhere,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "floating-point pixels have no defined range" in done.stderr


def test_the_script_is_plain_python_of_three_libraries() -> None:
    text = script("onnxruntime", "model.onnx")
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    runtimes = {"onnxruntime", "openvino", "ai_edge_litert", "ncnn"}
    assert imported - runtimes - {"numpy", "PIL", "pillow_heif"} <= sys.stdlib_module_names  # HEIF is optional
