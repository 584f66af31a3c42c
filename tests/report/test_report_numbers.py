import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.report import numbers
from pocketcnn.report.numbers import NO_BREAK_SPACE as NBSP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.size(41_210), "41.2 kB"),
        (numbers.time(0.00031), "0.31 ms"),
        (numbers.amount(5.4e6), "5.4 M"),
        (numbers.grouped(1_234_567), "1 234 567"),
        (numbers.accuracy(0.978), "97.8 %"),
        (numbers.accuracy(1.0), "100 %"),
        (numbers.accuracy(0.0), "0 %"),
        (numbers.accuracy(0.9996), "99.96 %"),
        (numbers.accuracy(0.0003), "0.03 %"),
        (numbers.points(-0.0061), f"{numbers.MINUS}0.6 points"),
        (numbers.points(0.004), "+0.4 points"),
        (numbers.points(0.0001), "±0.0 points"),
        (numbers.figure("latency", 0.0021), "2.1 ms"),
        (numbers.figure("ram", 256e3), "256 kB"),
        (numbers.exact("size", 60_012), "60 012 bytes"),
        (numbers.exact("macs", 1_200_000), "1 200 000"),
        (numbers.exact("latency", 0.00031472), "0.3147 ms"),
        (numbers.duration(0.42), "0.4 s"),
        (numbers.duration(59.7), "1 min 00 s"),
        (numbers.duration(142.3), "2 min 22 s"),
        (numbers.duration(5231), "1 h 27 min"),
        (numbers.span(0.000139, 0.000188, numbers.time), "0.139 to 0.188 ms"),
        (numbers.span(0.0000099, 0.02, numbers.time), "9.9 us to 20 ms"),
        (numbers.span(0.705, 2.15, numbers.time), "705 ms to 2.15 s"),
    ],
)
def test_numbers_are_written_for_people(text: str, expected: str) -> None:
    assert text == expected.replace(" ", NBSP)


def test_an_interval_has_its_unit_once() -> None:
    assert numbers.interval(0.957, 0.989) == f"95.7 to 98.9{NBSP}%"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "yes"), (0.123456, "0.1235"), (40, "40"), ("mse", "mse"), ([1, 2.5], "1, 2.5"), ({"a": [1]}, '{"a": [1]}')],
)
def test_settings_of_any_kind_can_be_shown(value: object, expected: str) -> None:
    assert numbers.plain(value) == expected


@given(st.floats(0, 1))
def test_only_a_perfect_score_reads_100_and_only_none_reads_0(share: float) -> None:
    shown = float(numbers.accuracy(share).removesuffix(f"{NBSP}%"))
    assert (shown == 100) <= (share > 1 - 1e-9)
    assert (shown == 0) <= (share < 1e-9)
    assert shown == pytest.approx(100 * share, abs=0.051)
