import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pocketcnn.report import FitResult
from pocketcnn.report.charts import accuracy_by_madds, accuracy_by_size, learning_by_round
from pocketcnn.report.plot import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Mark, Plot, beside_each_other, with_labels
from pocketcnn.report.scale import MAX_TICKS, Scale

positive = st.floats(1e-3, 1e12)


@given(st.lists(positive, min_size=1, max_size=20), st.booleans())
def test_every_value_lies_on_the_scale_and_so_do_round_ticks(values: list[float], log: bool) -> None:
    scale = Scale.around(values, 0, 100, log=log)
    assert all(0 <= scale(value) <= 100 for value in values)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= MAX_TICKS + 1
    assert ticks == sorted(set(ticks))
    assert all(-0.1 <= scale(tick) <= 100.1 for tick in ticks)


@given(positive, positive, st.booleans())
def test_a_scale_keeps_the_order(a: float, b: float, log: bool) -> None:
    assume(a < b)
    scale = Scale.around([a, b], 0, 100, log=log)
    assert scale(a) < scale(b)


def test_a_logarithmic_scale_has_equal_steps_for_equal_ratios() -> None:
    scale = Scale.around([1, 100], 0, 100, log=True)
    assert scale.log
    assert scale(10) - scale(1) == pytest.approx(scale(100) - scale(10), abs=0.11)
    assert not Scale.around([100, 120], 0, 100, log=True).log


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 22, [0, 5, 10, 15, 20]), (0.916, 0.998, [0.92, 0.94, 0.96, 0.98]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0, 100).ticks() == expected


def assert_inside(plot: Plot) -> None:
    for mark in plot.marks:
        assert LEFT <= mark.x <= RIGHT
        assert TOP <= mark.y <= BOTTOM
        if mark.label:
            assert 0 <= mark.label.x <= WIDTH
    for line in plot.lines:
        assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in line.points)


class TestCharts:
    def test_stages_are_numbered_along_their_path(self, met_result: FitResult) -> None:
        plot = accuracy_by_size(met_result.stages)
        assert plot is not None
        assert_inside(plot)
        assert [mark.label.text for mark in plot.marks if mark.label] == ["1", "2", "3", "4"]
        first, pruned, recovered, quantized = plot.marks
        assert quantized.x < pruned.x < first.x
        assert recovered.y < pruned.y  # up is more accurate
        assert recovered.x != pruned.x  # both weigh the same, and both are seen
        assert all(
            mark.low is not None and mark.high is not None and mark.high < mark.y < mark.low for mark in plot.marks
        )

    def test_candidates_end_where_they_were_dropped(self, missed_result: FitResult) -> None:
        plot = learning_by_round(missed_result.candidates)
        assert plot is not None
        assert_inside(plot)
        ends = {
            kind: {mark.x for mark in plot.marks if mark.kind == kind} for kind in ("chosen", "finalist", "dropped")
        }
        assert ends["chosen"] == ends["finalist"]
        assert len(ends["dropped"]) == 2
        assert max(ends["dropped"]) < min(ends["finalist"])
        assert plot.marks[-1].kind == "chosen"  # drawn last, on top
        assert [mark.text for mark in plot.marks if mark.label] == [plot.marks[-1].text]

    def test_cost_is_on_the_horizontal_axis(self, missed_result: FitResult) -> None:
        plot = accuracy_by_madds(missed_result.candidates)
        assert plot is not None
        assert_inside(plot)
        assert len(plot.marks) == len(missed_result.candidates)
        trained = sorted(missed_result.candidates, key=lambda candidate: candidate.madds)
        by_cost = sorted(plot.marks, key=lambda mark: mark.x)
        assert trained[0].name in by_cost[0].tooltip
        assert trained[-1].name in by_cost[-1].tooltip

    def test_there_is_no_chart_of_one_thing(self, met_result: FitResult) -> None:
        untrained = met_result.candidates[0].model_copy(update={"rounds": ()})
        assert accuracy_by_size(met_result.stages[:1]) is None
        assert learning_by_round(met_result.candidates[:1]) is None
        assert accuracy_by_madds([met_result.candidates[0], untrained]) is None

    def test_equal_figures_are_drawn_all_the_same(self, met_result: FitResult) -> None:
        plot = accuracy_by_size([met_result.stages[0]] * 3)
        assert plot is not None
        assert_inside(plot)
        assert all(math.isfinite(mark.y) for mark in plot.marks)


@given(st.lists(st.tuples(st.floats(LEFT, RIGHT), st.floats(TOP, BOTTOM)), min_size=1, max_size=6))
def test_labels_stay_in_the_drawing(points: list[tuple[float, float]]) -> None:
    for mark in with_labels([Mark(x, y, "chosen", "", text="mobilenet_v2 x0.5") for x, y in points]):
        assert mark.label is not None
        width = {"start": (0, 1), "middle": (0.5, 0.5), "end": (1, 0)}[mark.label.anchor]
        assert mark.label.x - 6 * len(mark.text) * width[0] >= 0
        assert mark.label.x + 6 * len(mark.text) * width[1] <= WIDTH


def test_marks_at_one_place_move_apart() -> None:
    first, second, other = beside_each_other([100, 100, 50])
    assert (first, other) == (100, 50)
    assert second > first
