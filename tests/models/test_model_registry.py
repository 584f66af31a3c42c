import importlib
import subprocess
import sys

import pytest
from torch import nn

import pocketcnn.models as zoo
from pocketcnn.errors import UsageError
from pocketcnn.models import registry
from pocketcnn.models.registry import CATALOG

NAMES = zoo.list_models()


def test_the_catalogue_names_exactly_what_the_files_register():
    for file, names in CATALOG.items():
        module = importlib.import_module(f"pocketcnn.models.{file}")
        builders = {name: entry.builder for name, entry in registry._registered.items()}
        functions = {name: getattr(builder, "func", builder) for name, builder in builders.items()}
        assert tuple(name for name, built in functions.items() if built.__module__ == module.__name__) == names


def test_names_are_listed_without_importing_torch():
    code = "import sys, pocketcnn.models as zoo; print(*zoo.list_models()); sys.exit('torch' in sys.modules)"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == NAMES == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_options_are_those_of_the_builder(name):
    options = zoo.network_options(name)
    assert {"classes": 1000, "in_channels": 3}.items() <= options.items()
    assert "dropout" in options


def test_an_unknown_network_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'mobilenetv2'\. Did you mean mobilenet_v2"):
        zoo.create("mobilenetv2")
    with pytest.raises(UsageError, match="Unknown network 'q'"):
        zoo.create("q")
    with pytest.raises(UsageError, match="mobilenet_v1"):
        zoo.network_options("mobilenet_v")


def test_an_unknown_option_suggests_the_nearest_and_lists_all():
    with pytest.raises(
        UsageError, match=r"'drop_out'\. Did you mean dropout\? It takes width, classes, .*total_stride"
    ):
        zoo.create("mobilenet_v1", drop_out=0.1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("width", -1.0),
        ("width", float("nan")),
        ("width", float("inf")),
        ("width", "1"),
        ("classes", 0),
        ("classes", 2.5),
        ("classes", True),
        ("in_channels", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("head_width", 0),
        ("total_stride", 0),
    ],
)
def test_a_value_out_of_range_is_named(option, value):
    with pytest.raises(UsageError, match=f"{option} must be .*, not {value!r}"):
        zoo.create("mobilenet_v2", **{option: value})


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("shufflenet_v1", "classifier_bias", 0),
        ("condensenet_86", "learn_groups", "no"),
        ("squeezenet1_0", "classifier_padding", -1),
        ("efficientnet_lite0", "padding", "valid"),
        ("nasnet_mobile", "drop_path", 1.0),
        ("shiftresnet", "expansion", 0),
        ("condensenet_86", "depth", 8.0),
        ("resnet50", "version", "v2"),
        ("resnet18", "total_stride", None),
        ("alexnet", "head_width", None),
        ("alexnet", "local_response_norm", 1),
    ],
)
def test_the_options_of_single_networks_are_checked_too(name, option, value):
    with pytest.raises(UsageError, match=f"{option} must be .*, not {value!r}"):
        zoo.create(name, **{option: value})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("alexnet", True, "alexnet has 1 or 2 groups, not True"),
        ("condensenet_74", 2, "condensenet_74 has 4 or 8 groups, not 2"),
        ("shufflenet_v1", 5, "shufflenet_v1 has 1, 2, 3, 4, 8 groups, not 5"),
        ("shufflenet_v1", "3", "shufflenet_v1 has 1, 2, 3, 4, 8 groups, not '3'"),
    ],
)
def test_the_groups_of_a_network_are_those_of_its_type(name, value, says):
    with pytest.raises(UsageError, match=says):
        zoo.create(name, groups=value)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_checked(name):
    """What no paper means by any option is refused before anything is built."""
    for option in zoo.network_options(name):
        with pytest.raises(UsageError, match=f"{option}.*, not"):
            zoo.create(name, **{option: object})


def test_a_total_stride_out_of_reach_lists_those_within():
    with pytest.raises(UsageError, match="32, 16, 8, 4, 2, 1"):
        zoo.create("mobilenet_v2", total_stride=12)


@pytest.fixture
def forget(monkeypatch):
    """Registrations of a test end with it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.mark.usefixtures("forget")
def test_a_network_of_ones_own_is_created_and_listed_like_the_others():
    @zoo.register("three_layers")
    def three_layers(*, classes: int, in_channels: int, hidden: int = 4) -> nn.Module:
        return nn.Linear(in_channels * hidden, classes)

    assert "three_layers" in zoo.list_models()
    built = zoo.create("three_layers", classes=5, hidden=2)
    assert (built.in_features, built.out_features) == (6, 5)
    with pytest.raises(UsageError, match="no width multiplier"):
        zoo.create("three_layers", width=0.5)
    with pytest.raises(UsageError, match="hidden must be a whole number, at most 1,048,576, not 'many'"):
        zoo.create("three_layers", hidden="many")


@pytest.mark.usefixtures("forget")
def test_a_taken_name_and_a_builder_without_the_common_keywords_are_refused():
    def builder(*, classes: int) -> nn.Module: ...

    zoo.create("mobilenet_v1", width=0.1, classes=1)
    with pytest.raises(ValueError, match="mobilenet_v1"):
        zoo.register("mobilenet_v1")(builder)
    with pytest.raises(ValueError, match="in_channels"):
        zoo.register("mine")(builder)


def test_the_package_says_so_when_a_name_does_not_exist():
    with pytest.raises(AttributeError, match="from_keras"):
        _ = zoo.from_keras
