"""`search` on real digits: it finds, trains and delivers a network, goes on where it was stopped, and says what it did."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.latency import LatencySource
from pocketcnn.cost import count
from pocketcnn.data import scan
from pocketcnn.errors import Interrupted, UsageError
from pocketcnn.graph import capture
from pocketcnn.graph.model_file import load
from pocketcnn.nas.loop import MemoryTrialLog, run
from pocketcnn.nas.objective import HARD
from pocketcnn.nas.point_file import load_point
from pocketcnn.nas.space import Task
from pocketcnn.nas.spaces import load_space
from pocketcnn.nas.spaces.nasnet import NasnetSpace
from pocketcnn.nas.strategies import STRATEGIES, strategy_config
from pocketcnn.nas.trial import Evaluation, Finished, Proposal
from pocketcnn.nas.workers import Inline
from pocketcnn.pipeline.search.point_evaluator import PointEvaluator, task_of
from pocketcnn.pipeline.search.record import Candidate
from pocketcnn.pipeline.search.run import POINT_FILE, WIDENING, fitting_width, wider_than_budget
from pocketcnn.pipeline.search.search import Searched, search
from pocketcnn.records.search_result import SearchResult
from pocketcnn.report.search import render_search_page
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe
from tests.support.pipeline import LITTLE

SPACE = """
stem = 8
last = 16

[[block]]
operation = ["inverted", "separable"]
expansion = [2, 3]
filters = 8
layers = [0, 1]

[[block]]
kernel = [3, 5]
expansion = [2, 4]
filters = [8, 12]
stride = 2
"""
BUDGET = "macs<=60k, size<=100kB"
TRIALS = 5


@pytest.fixture(scope="module")
def space_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "small.toml"
    path.write_text(SPACE)
    return path


def stopping_after(trials: int) -> Callable[[str], None]:
    """What is told what was found out, and presses Ctrl-C when so many trials have ended."""
    ended: list[str] = []

    def say(text: str) -> None:
        if ", trial " in text:
            ended.append(text)
        if len(ended) == trials:
            raise Interrupted("stopped")

    return say


@pytest.fixture(scope="module")
def searched(
    digits: Path, space_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Searched, Path, list[str]]:
    """A search that was stopped twice, in the search and in the control; its folder; what it said at last."""
    out = tmp_path_factory.mktemp("search")
    said: list[str] = []

    def go(say: Callable[[str], None]) -> Searched:
        return search(
            digits,
            BUDGET,
            out,
            space=str(space_file),
            strategy="evolution",
            trials=TRIALS,
            epochs=1,
            effort=LITTLE,
            say=say,
            command="pocketcnn search digits",
        )

    for trials in (2, 5):
        with pytest.raises(Interrupted):
            go(stopping_after(trials))
    return go(said.append), out, said


def test_a_stopped_search_is_the_same_as_a_whole_one(
    searched: tuple[Searched, Path, list[str]], digits: Path, space_file: Path, tmp_path: Path
) -> None:
    found, _, said = searched
    assert found.search.control is not None
    assert sum(", trial " in text for text in said) == 2 * TRIALS - 2 - 5
    recipe = Recipe.model_validate(_proxy(found))
    space = load_space(str(space_file))
    evaluator = PointEvaluator(digits, 0, space, BudgetEvaluator(Budget.parse(BUDGET)), recipe, tmp_path)
    for record in (found.search.searched, found.search.control):
        strategy = strategy_config(record.strategy).make(space, TRIALS)
        whole = run(strategy, HARD, Inline(evaluator), MemoryTrialLog(), trials=TRIALS, seed=0)
        assert [(trial.number, trial.point, trial.reward) for trial in record.trials] == [
            (trial.number, trial.point, trial.reward) for trial in whole
        ]
    assert list(tmp_path.iterdir()) == []  # nothing is left of a trial that is done


def _proxy(found: Searched) -> dict[str, object]:
    """The recipe of the proxy training: that of the last one, with its own epochs and batch."""
    stage = found.fit.lineage[0].settings["recipe"]
    assert isinstance(stage, dict)
    return {**stage, "epochs": 1, "warmup_epochs": 0.1}


def test_the_result_is_a_network_of_the_space_that_keeps_the_budget(
    searched: tuple[Searched, Path, list[str]], space_file: Path, digits: Path
) -> None:
    found, out, said = searched
    assert found.fit.met
    assert found.search.state == "done"
    assert found.search.test_accuracy == found.fit.artefact.accuracy.top1
    record = found.search.found
    assert record is not None
    space = load_space(str(space_file))
    point = load_point(out / POINT_FILE, space)
    assert point == record.point
    network = load(out / "model.safetensors")
    task = task_of(scan(digits))
    by_hand = capture(space.build(point, task), (1, 1, 8, 8))
    assert count(by_hand).madds == found.fit.stages[0].madds
    assert network.info.lineage[0].settings["point"] == point
    of_winner = found.search.searched if record.strategy == "evolution" else found.search.control
    assert of_winner is not None
    (trial,) = [trial for trial in of_winner.trials if trial.number == record.trial]
    assert trial.figures["macs"] <= 60_000
    assert trial.use is not None
    assert trial.use <= 1
    runs = [found.search.searched, found.search.control]
    kept = [t.reward or 0 for r in runs if r for t in r.trials if t.use is not None and t.use <= 1]
    assert trial.reward == max(kept)
    assert any(text.startswith("  front: ") for text in said)


def test_the_files_say_the_same_as_the_result(searched: tuple[Searched, Path, list[str]]) -> None:
    found, out, _ = searched
    assert SearchResult.model_validate_json((out / "search.json").read_text()) == found.search
    assert json.loads((out / "result.json").read_text())["command"] == "pocketcnn search digits"
    page = (out / "search.html").read_text()
    assert page == render_search_page(found.search)
    assert page.count("<polyline") == 5  # two fronts and the budget, two curves
    assert "5 trials of evolution" in page
    assert "5 trials of random" in page
    assert "http" not in page.replace("http-equiv", "")
    assert (out / "search.db").is_file()


def test_a_page_of_an_unfinished_search_says_so_and_what_failed(searched: tuple[Searched, Path, list[str]]) -> None:
    found, _, _ = searched
    first = found.search.searched.trials[0]
    failed = first.model_copy(
        update={"accuracy": None, "use": None, "reward": None, "figures": {}, "note": "its worker was lost <1>"}
    )
    run = found.search.searched.model_copy(update={"trials": (failed, *found.search.searched.trials[1:])})
    page = render_search_page(
        found.search.model_copy(update={"state": "running", "searched": run, "control": None, "found": None})
    )
    assert "<strong>not finished</strong>" in page
    assert "1 trial failed and counts as an evaluation." in page
    assert "its worker was lost &lt;1&gt;" in page
    none = found.search.searched.model_copy(update={"trials": ()})
    assert "None yet." in render_search_page(
        found.search.model_copy(update={"searched": none, "control": None, "found": None})
    )


@pytest.mark.slow
def test_mobilenet_v3_s_search_ends_with_netadapt(digits: Path, space_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    space = load_space(str(space_file))
    least = {"layers": 0, "kernel": 3, "expansion": 2, "filters": 8}
    smallest = space.check({d.name: least.get(d.name.split(".")[1], d.choices[0]) for d in space.decisions})
    bound = int(0.9 * count(space.build(smallest, Task(3, 1, 8, 8)), (1, 1, 8, 8)).madds)
    found = search(
        digits,
        f"macs<={bound}",
        tmp_path,
        space=space,
        strategy="mobilenetv3",
        trials=2,
        epochs=1,
        effort=LITTLE,
        control=False,
        say=said.append,
    )
    assert found.search.control is None
    assert found.search.reward == "accuracy · (share of the budget / 1.25)^-0.15"
    assert [stage.name for stage in found.fit.stages] == ["searched and trained", "pruned"]
    assert found.fit.stages[1].madds <= bound < found.fit.stages[0].madds
    assert list((tmp_path / "automatic").glob("netadapt*.json"))
    assert any("step 1:" in text for text in said)


@pytest.mark.slow
def test_nasnet_s_cells_are_transferred_to_the_largest_network_that_keeps_the_budget(
    digits: Path, tmp_path: Path
) -> None:
    space = NasnetSpace(cells=1, filters=4, blocks=1, operations=("sep3", "identity"))
    budget = "macs<=1M"
    found = search(
        digits, budget, tmp_path, strategy="nasnet", space=space, trials=1, epochs=1, effort=LITTLE, control=False
    )
    record = found.search.found
    assert record is not None
    assert record.transferred.endswith("filters in the first")
    searched_madds = found.search.searched.trials[0].figures["macs"]
    assert searched_madds < found.fit.stages[0].madds <= 1_000_000
    assert found.fit.met


def test_the_width_of_a_space_suits_the_budget(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketcnn.pipeline.search.run.WIDTH_SAMPLES", 3)
    widths = [
        fitting_width(
            "mobilenet",
            PointEvaluator(
                digits, 0, load_space("mobilenet"), BudgetEvaluator(Budget.parse(budget)), Recipe(), tmp_path
            ),
            1.0,
        )
        for budget in ("macs<=10k", "macs<=1M")
    ]
    assert widths[0] == 0.1 < widths[1] < 1


@pytest.mark.parametrize("given", [0.4, 0.9, 1.1])
def test_what_netadapt_prunes_exceeds_the_budget(digits: Path, tmp_path: Path, given: float) -> None:
    """NetAdapt only removes, so a network that keeps the budget is widened until it does not."""
    space = load_space("mobilenet", 0.25)
    point = space.at([0] * len(space.decisions))
    madds = count(space.build(point, Task(3, 1, 8, 8)), (1, 1, 8, 8)).madds
    evaluator = PointEvaluator(
        digits, 0, space, BudgetEvaluator(Budget.parse(f"macs<={int(madds / given)}")), Recipe(), tmp_path
    )
    found = Candidate("mobilenetv3", Finished(0, Proposal(point), Evaluation(0.5, given, {}, 1.0), 0.5))
    wider = wider_than_budget(evaluator, found)
    assert wider.budget.use(wider.graph(point)).share > 1
    assert (wider is evaluator) == (given > 1)
    if given < 1:
        narrower = evaluator.on(load_space("mobilenet", float(wider.space.reference["width"]) / WIDENING))
        assert narrower.budget.use(narrower.graph(point)).share <= 1


def test_a_space_without_a_width_is_left_as_it_is(digits: Path, space_file: Path, tmp_path: Path) -> None:
    space = load_space(str(space_file))
    point = space.at([0] * len(space.decisions))
    evaluator = PointEvaluator(digits, 0, space, BudgetEvaluator(Budget.parse("macs<=1G")), Recipe(), tmp_path)
    found = Candidate("mobilenetv3", Finished(0, Proposal(point), Evaluation(0.5, 0.1, {}, 1.0), 0.5))
    assert wider_than_budget(evaluator, found) is evaluator


def test_latencies_without_a_table_are_measured_and_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketcnn.compression.latency.predictor", lambda target, precision: None)
    use = BudgetEvaluator(Budget.parse("latency<=1ms@onnxruntime-cpu, macs<=1M, ram<=1MB"), LatencySource.EITHER)
    assert use.measured == ("onnxruntime-cpu",)
    space = load_space("scaling:mobilenet_v2")
    point = space.check({"width": 0.1, "depth": 1.0, "resolution": 1.0})
    graph = capture(space.build(point, Task(3, 1, 8, 8)), (1, 1, 8, 8))
    found = use.use(graph)
    assert 0 < found.figures["latency@onnxruntime-cpu"] < 1
    assert found.share >= found.figures["macs"] / 1e6
    estimate = BudgetEvaluator(Budget.parse("latency<=1ms@cortex-m7"), LatencySource.EITHER)
    assert estimate.measured == ()
    assert estimate.use(graph).precision == "int8"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": "macs<=50%"}, "is a percentage of an existing network, and a search has none"),
        ({"strategy": "greedy"}, "There is no strategy 'greedy'; choose random, evolution"),
        ({"trials": 0}, "A search has at least one trial, not 0."),
        ({"reward": "fast"}, "There is no reward 'fast'"),
        ({"space": "nasnets"}, "There is no search space 'nasnets'. Did you mean nasnet?"),
        ({"width": 0.5, "space": "scaling:resnet18"}, "This space has no width multiplier"),
        ({"width": 9.0}, "The width of a search space must be above 0"),
    ],
)
def test_mistakes_are_explained(change: dict[str, object], says: str, digits: Path, tmp_path: Path) -> None:
    options: dict[str, object] = {"budget": "macs<=1M", **change}
    with pytest.raises(UsageError) as error:
        search(digits, out=tmp_path, **options)  # type: ignore[arg-type]
    assert says in str(error.value)
    assert not list(tmp_path.iterdir())
    assert "mnasnet" in STRATEGIES


def test_netadapt_wants_a_latency_table_before_anything_is_trained(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketcnn.compression.latency.predictor", lambda target, precision: None)
    with pytest.raises(UsageError, match="Measure it first: pocketcnn target profile onnxruntime-cpu"):
        search(digits, "latency<=1ms@onnxruntime-cpu", tmp_path, strategy="mobilenetv3")
