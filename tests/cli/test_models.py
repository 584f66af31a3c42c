"""`pocketcnn models`."""

import pytest
from cli_support import document, fail, succeed

from pocketcnn.cli.models import cost_of, paper_of
from pocketcnn.cost import count
from pocketcnn.models import create, list_models


def test_the_zoo_is_listed_with_papers_and_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    some = ["mobilenet_v1", "mobilenet_v3_small", "squeezenet1_1"]
    monkeypatch.setattr("pocketcnn.cli.models.list_models", lambda: some)
    listed = document("models", "--input", "64")["models"]
    assert [network["name"] for network in listed] == some
    for network in listed:
        assert network["params"] > 0
        assert network["madds"] > 0
        assert network["input"] == [3, 64, 64]
        assert network["paper"].endswith(")")
        assert not {"width", "classes", "in_channels"} & network["options"].keys()


def test_a_pattern_lists_those_that_match() -> None:
    listed = document("models", "mobilenet_v1*", "--input", "32")["models"]
    assert [network["name"] for network in listed] == ["mobilenet_v1"]
    assert "No network matches 'x*'. The zoo has" in fail(2, "models", "x*")


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small"])
def test_the_quick_count_is_that_of_the_graph(name: str) -> None:
    cost = count(create(name, width=0.5, classes=7, in_channels=1), (1, 1, 64, 96))
    assert cost_of(name, (1, 64, 96), width=0.5, classes=7) == (cost.params, cost.madds)


def test_one_network_is_shown_with_its_options() -> None:
    shown = succeed("models", "mobilenet_v2", "--width", "0.5", "--input", "96").stdout
    assert "total_stride=32" in shown
    assert "3x96x96" in shown
    assert document("models", "mobilenet_v2")["options"]["dropout"] == 0.2


def test_every_network_of_the_zoo_names_its_paper() -> None:
    assert [name for name in list_models() if not paper_of(name)] == []


def test_the_paper_of_a_network_from_elsewhere_is_unknown() -> None:
    assert paper_of("my_network") == ""


def test_mistakes_are_explained() -> None:
    assert "Did you mean mobilenet_v2" in fail(2, "models", "mobilnet_v2")
    assert "width must be a number above 0" in fail(2, "models", "mobilenet_v2", "--width", "0")
    assert "squeezenet1_0 does not take images of 3x8x8" in fail(2, "models", "squeezenet1_0", "--input", "8")
    assert "write 3x224x224" in fail(2, "models", "--input", "224x")
