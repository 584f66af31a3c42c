import pytest

from pocketcnn.report import FitResult
from pocketcnn.report.confusion import confused_pairs, hardest_classes, heat_map
from pocketcnn.report.findings import margin, margin_bar, speed, spread_warning, what_changed
from pocketcnn.report.numbers import MINUS, NO_BREAK_SPACE
from pocketcnn.report.successive_halving import HalvingOutcome, last_round, outcome_of, outcome_text, ranked

MATRIX = ((8, 2, 0), (1, 9, 0), (0, 0, 4))
CLASSES = ("cat", "dog", "owl")


def spaced(text: str) -> str:
    return text.replace(NO_BREAK_SPACE, " ")


class TestMargins:
    def test_a_kept_limit_says_what_is_left_and_a_missed_one_what_is_too_much(self, missed_result: FitResult) -> None:
        size, latency, ram, _ = missed_result.limits
        assert spaced(margin(size)) == "12.3 % over"
        assert spaced(margin(latency)) == "4.5 % to spare"
        assert spaced(margin(ram)) == "56.8 % over"
        assert margin(size.model_copy(update={"value": size.bound})) == "exactly at the bound"

    def test_bars_share_the_place_of_the_bound_and_end_where_the_track_ends(self, missed_result: FitResult) -> None:
        size, latency, ram, _ = (margin_bar(limit) for limit in missed_result.limits)
        assert size.bound == latency.bound == ram.bound
        assert latency.value < latency.bound < size.value
        assert latency.low < latency.value < latency.high
        assert (ram.value, ram.cut, size.cut) == (1.0, True, False)

    def test_a_limit_that_only_its_median_keeps_is_pointed_out(self, missed_result: FitResult) -> None:
        size, latency, _, macs = missed_result.limits
        assert "2.31 ms" in spaced(spread_warning(latency))
        assert spread_warning(size) == spread_warning(macs) == ""


class TestChanges:
    def test_the_stages_are_summed_up(self, missed_result: FitResult) -> None:
        words = spaced(" ".join(what_changed(missed_result.stages)))
        assert "Weights: 1.24 MB → 91 kB, 13.6 times smaller" in words
        assert "Multiply-adds: 38 M → 11.2 M, 3.4 times fewer" in words
        assert f"{MINUS}6.3 points" in words
        assert "chance" not in words

    def test_a_difference_inside_the_intervals_is_called_what_it_is(self, met_result: FitResult) -> None:
        first, recovered = met_result.stages[0], met_result.stages[2]
        assert "may be chance" in what_changed([first, recovered])[-1]

    def test_nothing_changed_is_said_too(self, met_result: FitResult) -> None:
        stage = met_result.stages[0]
        assert sum("unchanged" in sentence for sentence in what_changed([stage, stage])) == 3
        assert what_changed([stage]) == []


class TestSpeed:
    def test_a_slower_file_is_reported(self, missed_result: FitResult) -> None:
        (slower, words), (same, same_words) = speed(missed_result.latencies, "int8")
        assert slower
        assert "25.7 % slower" in spaced(words)
        assert "not faster" in words
        assert not same
        assert "no measurable difference" in same_words

    def test_a_faster_file_is_not(self, met_result: FitResult) -> None:
        ((slower, words),) = speed(met_result.latencies, "int8")
        assert not slower
        assert "1.4 times as fast" in words

    def test_times_of_different_threads_are_not_compared(self, met_result: FitResult) -> None:
        float32, deployed = met_result.latencies
        assert speed((float32.model_copy(update={"threads": 2}), deployed), "int8") == []


class TestConfusion:
    def test_pairs_come_by_count(self) -> None:
        pairs = confused_pairs(MATRIX, CLASSES, limit=5)
        assert [(pair.true, pair.predicted, pair.count, pair.share) for pair in pairs] == [
            ("cat", "dog", 2, 0.2),
            ("dog", "cat", 1, 0.1),
        ]
        assert confused_pairs(MATRIX, CLASSES, limit=1) == pairs[:1]

    def test_classes_come_by_recall_without_the_faultless(self) -> None:
        cat, dog = hardest_classes(MATRIX, CLASSES, limit=5)
        assert (cat.name, cat.recall, cat.precision) == ("cat", 0.8, pytest.approx(8 / 9))
        assert (dog.name, dog.images, dog.recall) == ("dog", 10, 0.9)

    def test_a_class_that_was_never_predicted_or_never_seen_is_no_division_by_zero(self) -> None:
        never_predicted, never_seen = ((0, 3), (0, 5)), ((0, 0), (1, 4))
        assert hardest_classes(never_predicted, CLASSES, limit=5)[0].precision is None
        assert [figures.name for figures in hardest_classes(never_seen, CLASSES, limit=5)] == ["dog"]
        assert heat_map(never_seen, CLASSES)[0][0].strength == 0

    def test_cells_say_what_they_count(self) -> None:
        cell = heat_map(MATRIX, CLASSES)[0][1]
        assert (cell.count, cell.correct) == (2, False)
        assert cell.tooltip == "cat: 2 of 10 predicted as dog"
        assert 0.2 < cell.strength < 1


class TestTournament:
    def test_every_candidate_has_a_fate(self, met_result: FitResult) -> None:
        candidates = met_result.candidates
        fates = [outcome_of(candidate, candidates) for candidate in candidates]
        assert last_round(candidates) == 3
        assert fates.count(HalvingOutcome.CHOSEN) == 1
        assert fates.count(HalvingOutcome.FINALIST) == 2
        assert fates.count(HalvingOutcome.DROPPED) == 6
        words = {outcome_text(candidate, candidates) for candidate in candidates}
        assert words == {"chosen", "in the last round", "dropped after round 1", "dropped after round 2"}

    def test_the_chosen_one_is_first_and_the_untrained_last(self, met_result: FitResult) -> None:
        untrained = met_result.candidates[0].model_copy(update={"name": "none", "rounds": (), "chosen": False})
        order = ranked([untrained, *met_result.candidates])
        assert order[0].chosen
        assert order[-1] is untrained
        assert outcome_text(untrained, order) == "not trained"
        survived = [len(candidate.rounds) for candidate in order]
        assert survived == sorted(survived, reverse=True)
