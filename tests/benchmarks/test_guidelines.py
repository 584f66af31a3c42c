"""The experiments of ShuffleNetV2's section 2 compare what is comparable: rows of a column cost the same multiply-adds."""

import pytest

from benchmarks import guidelines
from benchmarks.shufflenet_guidelines.blocks import graph_of
from benchmarks.shufflenet_guidelines.paper import GUIDELINES, SIDE, Experiment
from pocketcnn.cost import count
from pocketcnn.runtimes import StopRule


@pytest.mark.parametrize("experiment", GUIDELINES, ids=lambda experiment: experiment.title[:2])
def test_rows_cost_the_same_multiply_adds(experiment: Experiment) -> None:
    costs = {row: count(graph_of(network, SIDE)) for row, network in experiment.networks(0).items()}
    madds = [cost.madds for cost in costs.values()]
    assert max(madds) / min(madds) < 1.11  # the paper's widths are whole numbers
    if experiment.title.startswith(("G1", "G2")):  # what these two claim is that memory access grows, row by row
        access = [cost.memory_access_bytes for cost in costs.values()]
        assert access == sorted(access)


def test_every_row_has_its_printed_speed() -> None:
    for experiment in GUIDELINES:
        if experiment.printed is not None:
            assert set(experiment.printed) == set(experiment.rows)
            assert {len(speeds) for speeds in experiment.printed.values()} == {len(experiment.columns)}


def test_a_table_is_measured_and_printed() -> None:
    experiment = GUIDELINES[-1]
    rule = StopRule(warmup_seconds=0, min_seconds=0, max_seconds=0.001, min_repeats=1)
    figures = guidelines.measured(experiment, "onnxruntime", rule)
    text = "\n".join(guidelines._rows(experiment, figures))
    assert text.count("|") == (len(experiment.columns) + 3) * (len(experiment.rows) + 2)
    assert figures["columns"]["c=64"]["no shuffle"]["ratio"] == 1
