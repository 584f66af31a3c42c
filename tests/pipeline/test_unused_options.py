"""What a choice does not read is refused in Python too, before anything is read or trained."""

from pathlib import Path
from typing import Any

import pytest

import pocketcnn as pc
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.models import create
from pocketcnn.pipeline.compress.strategies import OPTIONS_READ, STRATEGIES
from pocketcnn.pipeline.deploy.bench import Subject, bench
from pocketcnn.pipeline.option_use import check_used, conditional

READS = {"a": frozenset({"x", "y"}), "b": frozenset({"x"}), "c": frozenset({"x", "z"})}


def network() -> GraphNetwork:
    """Untrained."""
    return GraphNetwork(capture(create("mobilenet_v2", width=0.1, classes=3, in_channels=1), (1, 1, 8, 8)))


def test_only_what_some_choice_reads_and_not_all_is_conditional() -> None:
    assert conditional(READS) == {"y", "z"}
    check_used("kind", "b", READS, {"x": "--x", "other": "--other"})
    check_used("kind", "unknown", READS, {"y": "--y"})
    told = "The kind b does not use --y and --z. Leave them out, or choose another kind: --y is used by a; --z is used by c."
    with pytest.raises(pc.UsageError) as caught:
        check_used("kind", "b", READS, {"y": "--y", "x": "--x", "z": "--z"})
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("strategy", "changed", "user"),
    [
        *(
            (strategy, changed, "rank")
            for strategy in STRATEGIES
            for changed in ({"stages": 2}, {"allocation": "uniform"}, {"reconstruct": False})
            if strategy != "rank"
        ),
        *((strategy, {"choose": "ratio"}, "netadapt") for strategy in STRATEGIES if strategy != "netadapt"),
    ],
)
def test_compress(strategy: str, changed: dict[str, Any], user: str, tmp_path: Path) -> None:
    (name,) = changed
    assert name not in OPTIONS_READ[strategy]
    with pytest.raises(pc.UsageError, match=f"The strategy {strategy} does not use {name}"):
        pc.compress(
            network(), "absent", "macs<=1M", tmp_path, strategy=strategy, method=pc.CompressionMethod(**changed)
        )
    with pytest.raises(pc.UsageError, match="has no input contract"):  # the next check
        pc.compress(network(), "absent", "macs<=1M", tmp_path, strategy=user, method=pc.CompressionMethod(**changed))


@pytest.mark.parametrize(
    ("strategy", "given"),
    [("random", {"control": True}), ("random", {"reward": "soft"}), ("nsga2", {"reward": "soft"})],
)
def test_search(strategy: str, given: dict[str, Any], tmp_path: Path) -> None:
    (name,) = given
    with pytest.raises(pc.UsageError, match=f"The strategy {strategy} does not use {name}"):
        pc.search("absent", "macs<=1M", tmp_path, strategy=strategy, **given)
    with pytest.raises(pc.UsageError, match="absent"):  # the folder, which is not there
        pc.search("absent", "macs<=1M", tmp_path, strategy="evolution", **given)
    with pytest.raises(pc.UsageError, match=r"pocketcnn\.once_for_all"):
        pc.search("absent", "macs<=1M", tmp_path, strategy="once-for-all")


@pytest.mark.parametrize("given", [{"epochs": 3}, {"seed": 0}, {"recipe": pc.Recipe(batch_size=8)}])
def test_make_over_without_images(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(pc.UsageError, match=f"{next(iter(given))}: only for the recovery"):
        pc.adapt_to_target(network(), "dsp-npu", tmp_path / "x.safetensors", **given)


def test_bench(tmp_path: Path) -> None:
    file = Subject("a.onnx", artefact=tmp_path / "a.onnx")
    with pytest.raises(pc.UsageError, match="--numerics and --images: only for networks"):
        bench([file], numerics=("int8",), images=[tmp_path / "a.png"])
    with pytest.raises(pc.UsageError, match="--runtime torch, ncnn: no given file"):
        bench([file], runtimes=("onnxruntime", "torch", "ncnn"))


@pytest.mark.parametrize("field", [{"epochs": 3}, {"warmup_epochs": 0.5}, {"seed": 3}])
def test_a_recipe_where_the_effort_says_how_long(field: dict[str, Any], tmp_path: Path) -> None:
    recipe = pc.Recipe(**field)
    told = f"sets {next(iter(field))}, which has no effect"
    with pytest.raises(pc.UsageError, match=told):
        pc.fit("absent", "size<=1MB", tmp_path, recipe=recipe)
    with pytest.raises(pc.UsageError, match=told):
        pc.search("absent", "macs<=1M", tmp_path, recipe=recipe)
    with pytest.raises(pc.UsageError, match=told):
        pc.once_for_all("absent", "macs<=1M", tmp_path, recipe=recipe)


def test_named_networks_are_taken_whatever_the_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketcnn.pipeline.candidates import NETWORKS
    from pocketcnn.pipeline.effort import EFFORTS
    from pocketcnn.pipeline.fit.fit import _uses_supernet

    assert _uses_supernet(EFFORTS["high"], None)
    assert not _uses_supernet(EFFORTS["high"], NETWORKS)
    assert not _uses_supernet(EFFORTS["low"], None)
