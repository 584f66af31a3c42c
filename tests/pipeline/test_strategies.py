"""`compress` with the strategies that choose how much of each layer to prune."""

import dataclasses
import json
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketcnn.compression.evaluator import absolute
from pocketcnn.cost.counting import total_madds
from pocketcnn.data import infer_contract, scan
from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.graph import GraphNetwork, ModelInfo, capture
from pocketcnn.graph.model_file import load
from pocketcnn.layers import ConvNormAct, InvertedResidual
from pocketcnn.pipeline.compress.compress import compress
from pocketcnn.pipeline.compress.strategies import OPTIONS_READ, STRATEGIES, budget_share, check_strategy, pruner_of
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.targets import Budget, load_target, predict_latency
from pocketcnn.targets.latency import BlockLatency, LatencyTable, default_path
from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.kernels import split
from pocketcnn.targets.latency.predictor import current_conditions
from pocketcnn.targets.latency.sampling import plan
from tests.support.pipeline import LITTLE


@pytest.fixture(scope="module")
def network(digits: Path) -> GraphNetwork:
    """Not trained: what is looked at here is how it is pruned."""
    contract, folder = infer_contract(scan(digits)), scan(digits)
    torch.manual_seed(0)
    blocks = [ConvNormAct(1, 16), InvertedResidual(16, 16, expanded=48), ConvNormAct(16, 32, stride=2)]
    module = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3)).eval()
    info = ModelInfo(name="small", input=contract, classes=folder.classes)
    return GraphNetwork(capture(module, (1, *contract.shape)), info)


@pytest.mark.parametrize("strategy", ["netadapt", "amc"])
def test_the_budget_is_kept_and_the_record_is_left(
    network: GraphNetwork, digits: Path, tmp_path: Path, strategy: str
) -> None:
    result = compress(network, digits, "macs<=60%", tmp_path, effort=LITTLE, strategy=strategy)
    assert result.met
    assert [stage.name for stage in result.stages] == ["given", "pruned"]
    assert result.stages[1].madds <= 0.6 * result.stages[0].madds
    stage = load(tmp_path / "model.safetensors").info.lineage[-1]
    assert stage.settings["strategy"] == strategy
    left = {path.name for path in (tmp_path / "automatic").iterdir()}
    if strategy == "netadapt":
        assert left == {"netadapt 1.json"}
        steps = json.loads((tmp_path / "automatic" / "netadapt 1.json").read_text())["steps"]
        assert len(steps) == stage.settings["steps"] > 1
        assert all(step["proposals"] for step in steps)
    else:
        assert left == {"policy.json"}
        policy = json.loads((tmp_path / "automatic" / "policy.json").read_text())["policy"]
        assert [[layers, share] for layers, share in policy["kept"]] == stage.settings["kept"]
    assert not (tmp_path / "work").exists()


def test_the_rule_of_mobilenet_v3_takes_constant_steps_and_is_recorded(
    network: GraphNetwork, digits: Path, tmp_path: Path
) -> None:
    method = CompressionMethod(choose="ratio")
    result = compress(network, digits, "macs<=90%", tmp_path, effort=LITTLE, strategy="netadapt", method=method)
    assert result.met
    settings = load(tmp_path / "model.safetensors").info.lineage[-1].settings
    assert (settings["choose"], settings["step"], settings["decay"]) == ("ratio", 0.01, 1.0)
    with pytest.raises(UsageError, match="choose accuracy or ratio"):
        CompressionMethod(choose="luck")


def test_a_share_of_what_varies_is_measured_once_for_a_run_that_is_stopped_and_goes_on(
    network: GraphNetwork, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A latency differs from run to run; the steps that are kept were made for the budget of the first."""
    whole = total_madds(network.graph)
    bounds = iter((0.6 * whole, 0.5 * whole))

    def measured(*_: object) -> Budget:
        return Budget.parse(f"macs<={next(bounds):.0f}")

    monkeypatch.setattr("pocketcnn.pipeline.compress.compress.absolute", measured)

    def stop(text: str) -> None:
        if text.startswith("step 1:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(network, digits, "macs<=60%", tmp_path, effort=LITTLE, strategy="netadapt", say=stop)
    said: list[str] = []
    result = compress(network, digits, "macs<=60%", tmp_path, effort=LITTLE, strategy="netadapt", say=said.append)
    assert result.met
    assert next(text for text in said if text.startswith("step")).startswith("step 2:")
    assert next(bounds) == 0.5 * whole < result.stages[1].madds <= 0.6 * whole


def test_a_budget_out_of_reach_leaves_the_narrowest_network(
    network: GraphNetwork, digits: Path, tmp_path: Path
) -> None:
    for strategy in ("netadapt", "amc"):
        result = compress(network, digits, "macs<=1k", tmp_path / strategy, effort=LITTLE, strategy=strategy)
        assert not result.met
        assert result.stages[-1].madds < 0.3 * result.stages[0].madds


def test_the_share_of_a_budget_is_1_where_the_budget_ends(network: GraphNetwork) -> None:
    budget = absolute(Budget.parse("macs<=50%, ram<=200%"), network.graph)
    assert budget_share(budget, network.graph).use(network.graph) == pytest.approx(2.0)
    sized = absolute(Budget.parse("size<=50%"), network.graph)
    resource = budget_share(sized, network.graph)
    assert not resource.by_shape
    only = absolute(Budget.parse("macs<=40%"), network.graph)
    quick = budget_share(only, network.graph)
    assert quick.per_madd == pytest.approx(1 / only.limits[0].bound)
    assert quick.use(network.graph) == pytest.approx(2.5)
    assert resource.use(network.graph) < 2.0  # in int8 it is smaller, and that form counts


def test_a_latency_is_predicted_or_estimated_never_measured_in_the_loop(
    network: GraphNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="pocketcnn target profile onnxruntime-cpu"):
        budget_share(Budget.parse("latency<=1ms@onnxruntime-cpu"), network.graph)
    there = budget_share(Budget.parse("latency<=1ms@cortex-m7"), network.graph)
    assert 0 < there.use(network.graph) < float("inf")


def test_a_latency_by_table_is_that_of_the_faster_form(
    network: GraphNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a made-up machine an int8 network takes half the time: in that form it keeps the budget, in float it does not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    points = []
    for text in islice(plan(0), 40):
        seconds = 1e-6 + 1e-9 * sum(group.kernel.madds for group in split(build(text)))
        for form, factor in (("float32", 1.0), ("int8", 0.5)):
            points.append(BlockLatency(text, form, factor * seconds, factor * seconds, factor * seconds, 9, 1e-3))  # type: ignore[arg-type]
    name = "onnxruntime-cpu"
    LatencyTable(name, current_conditions(load_target(name)), points=tuple(points)).save(default_path(name))
    budget = Budget.parse(f"latency<={1e6 * predict_latency(network, name).total:.3f}us@{name}")
    assert budget_share(budget, network.graph).use(network.graph) == pytest.approx(0.5, abs=0.1)


def test_an_unknown_strategy() -> None:
    with pytest.raises(UsageError, match="rank, netadapt, amc"):
        check_strategy("luck")


def test_every_strategy_says_what_it_is() -> None:
    """What a command offers follows from the registry; AMC is marked as for study wherever its summary is shown."""
    fields = {field.name for field in dataclasses.fields(CompressionMethod)}
    for name, strategy in STRATEGIES.items():
        assert strategy.summary
        assert strategy.options <= fields
        assert strategy.options == OPTIONS_READ[name]
        assert strategy.for_study == ("for study" in strategy.summary)
        assert check_strategy(name) is strategy
    assert [name for name, strategy in STRATEGIES.items() if strategy.for_study] == ["amc"]


def test_a_strategy_without_its_library_says_which_extra_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise MissingExtra("gymnasium", "amc")

    monkeypatch.setattr("pocketcnn.pipeline.compress.strategies.importlib.import_module", missing)
    check_strategy("rank")
    with pytest.raises(MissingExtra, match="amc"):
        pruner_of("amc", Path())
