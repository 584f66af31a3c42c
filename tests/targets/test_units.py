from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.targets import Quantity, format_quantity, units


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        ("size", 41_234, "41.2 kB"),
        ("size", 999, "999 B"),
        ("size", 999.6, "1 kB"),
        ("size", 1_000_000, "1 MB"),
        ("ram", 999_950, "1 MB"),
        ("size", 3.25e9, "3.25 GB"),
        ("size", 3.25e12, "3250 GB"),
        ("latency", 0.00031, "0.31 ms"),
        ("latency", 0.0412, "41.2 ms"),
        ("latency", 0.9999, "1 s"),
        ("latency", 12.34, "12.3 s"),
        ("latency", 4.2e-6, "4.2 us"),
        ("latency", 1e-5, "0.01 ms"),
        ("macs", 5_400_000, "5.4 M"),
        ("macs", 569_000_000, "569 M"),
        ("params", 123, "123"),
        ("params", 0, "0"),
        ("params", 1.2e9, "1.2 G"),
    ],
)
def test_figures_for_people(quantity, value, text):
    assert format_quantity(Quantity(quantity), value) == text


def test_percent():
    assert units.format_percent(0.5) == "50 %"
    assert units.format_percent(0.0213) == "2.13 %"


def test_what_is_not_finite_is_shown_as_such():
    assert units.format_bytes(float("inf")) == "inf"


@given(st.floats(min_value=1e-3, max_value=1e15))
def test_a_printed_figure_is_right_to_half_of_its_third_digit(value):
    number, unit = units.format_bytes(value).split()
    assert float(number) * float(units.BYTES[unit]) == pytest.approx(value, rel=5.1e-3)


@given(st.floats(min_value=1e-200, max_value=1e200), st.sampled_from([units.BYTES, units.SECONDS, units.COUNT]))
def test_exact_text_reads_back_to_the_same_float(value, table):
    text = units.exact(value, table)
    readings = [
        units.to_base(number, factor)
        for unit, factor in table.items()
        if (number := text.removesuffix(unit)) and number[-1].isdigit()
    ]
    assert value in readings


@pytest.mark.parametrize(("number", "factor", "value"), [("0.3", "1e-6", 3e-7), ("1.1", "1000", 1100.0)])
def test_decimals_are_rounded_once(number, factor, value):
    assert units.to_base(number, Decimal(factor)) == value
