"""`pocketcnn models`."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from pocketcnn.cost import count
from pocketcnn.models import create, list_models
from pocketcnn.models.description import cost_of, paper_of
from pocketcnn.models.published import read_published
from tests.support.cli import document, fail, invoke, succeed


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


def test_the_check_shows_what_is_counted_beside_what_is_printed() -> None:
    found = document("models", "mobilenet_v3_small*", "--check")
    assert found["missed"] == 0
    rows = {(row["variant"], row["network"]): row for row in found["rows"]}
    plain = rows["alpha=1.0 (arXiv v5)", "mobilenet_v3_small"]
    assert plain["madds"]["counted"] == plain["madds"]["recounted"] == 56_510_400
    assert plain["madds"]["printed_millions"] == 56
    assert plain["madds"]["difference"] == pytest.approx(0.0091, abs=1e-4)
    assert plain["verdict"] == "agrees"
    excused = rows["minimalistic alpha=1.0", "mobilenet_v3_small_minimalistic"]
    assert (excused["verdict"], excused["doubt"]) == ("explained", "not reproducible")
    shown = succeed("models", "mobilenet_v3_small*", "--check").stdout
    assert "56,510,400" in shown
    assert "not reproducible: the layer list gives 52.3 M; the parameters agree" in shown
    assert "0 are missed" in shown


def test_rows_that_name_no_network_are_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [row for row in read_published() if row.paper in ("MCUNet", "AMC")]
    monkeypatch.setattr("pocketcnn.cli.models_check.read_published", lambda: some)
    rows = document("models", "--check")["rows"]
    assert len(rows) == len(some)
    absent = [row for row in rows if row["verdict"] == "not counted"]
    assert len(absent) == 11
    assert all(row["reason"] and row["params"]["counted"] is None for row in absent)
    assert "found by a search" in succeed("models", "--check").stdout


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        (",208 M", "", ""),
        ("56510400", "56510401", "56,510,400 multiply-adds are counted, 56,510,401 by the published list of layers"),
        (",2.5,56,67.4,", ",2.9,56,67.4,", "2.54 M parameters are counted, 2.9 M are printed"),
    ],
    ids=["as it is", "a digit of the recount", "a digit of the print"],
)
def test_a_corrupted_figure_makes_the_check_fail(
    right: str, wrong: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = files("pocketcnn.models").joinpath("published.csv").read_text(encoding="utf-8")
    copy = tmp_path / "published.csv"
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr("pocketcnn.cli.models_check.read_published", lambda: read_published(copy))
    done = invoke("models", "mobilenet_v3_small", "--check", "--json")
    rows = json.loads(done.stdout)
    assert rows["missed"] == (1 if complaint else 0)
    assert done.exit_code == (1 if complaint else 0)
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_check_does_not_take_is_said() -> None:
    assert "leave --width, --classes and --input out" in fail(2, "models", "--check", "--width", "0.5")
    assert "No network with published figures matches 'x*'" in fail(2, "models", "x*", "--check")
