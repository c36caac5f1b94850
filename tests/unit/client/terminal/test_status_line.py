"""The status line at every width, and current rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.terminal.status_line import Field, Rates, compose_status, describe_link
from teleglyph.printable import width
from teleglyph.wire.acip import UpdateLevel

FIELDS = [
    Field(4, ("? help", "?")),
    Field(1, ("only Ann; 0 shows everyone", "only Ann; 0: all", "0: everyone")),
    Field(3, ("12 in the call", "12 here")),
    Field(6, ("picture on",)),
    Field(7, ("30 frames/s",)),
]


def test_a_wide_line_has_every_field_in_order() -> None:
    line = compose_status(FIELDS, 100)
    assert line == " ? help | only Ann; 0 shows everyone | 12 in the call | picture on | 30 frames/s"


def test_at_20_columns_the_most_important_fields_are_left() -> None:
    assert compose_status(FIELDS, 20) == " ? | 0: everyone"
    assert compose_status([FIELDS[0], *FIELDS[2:]], 20) == " ? | 12 in the call"


def test_needed_fields_are_whole_before_others_get_space() -> None:
    assert compose_status(FIELDS, 60) == " ? help | only Ann; 0 shows everyone | 12 in the call"


texts = st.text(st.characters(categories=["L", "N", "So"]), min_size=1, max_size=12).filter(
    lambda text: "|" not in text
)
fields = st.lists(st.builds(Field, st.integers(0, 10), st.lists(texts, min_size=1, max_size=3)), max_size=8)


@given(fields, st.integers(1, 120))
def test_fields_are_whole_and_the_line_fits(fields: list[Field], columns: int) -> None:
    line = compose_status(fields, columns)
    assert width(line) <= columns
    shown = line.strip(" ").split(" | ") if line else []
    left = iter(fields)
    for text in shown:
        assert any(text in field.texts for field in left)


def test_wide_characters_count_twice() -> None:
    assert compose_status([Field(0, ("世界",))], 5) == " 世界"
    assert compose_status([Field(0, ("世界",))], 4) == ""


def test_rates_are_unknown_at_first_and_then_of_the_last_second() -> None:
    rates = Rates()
    assert rates.measure(100.0, 5, 500) is None
    assert rates.measure(100.5, 20, 2000) is None
    assert rates.measure(101.0, 35, 3500) == (30.0, 3000.0)
    assert rates.measure(101.5, 36, 3600) == (30.0, 3000.0)
    assert rates.measure(102.0, 45, 4500) == (10.0, 1000.0)


@pytest.mark.parametrize("pause", [4.0, 3600.0])
def test_time_in_which_the_program_was_suspended_does_not_count(pause: float) -> None:
    rates = Rates()
    rates.measure(0.0, 0, 0)
    assert rates.measure(1.0, 30, 3000) == (30.0, 3000.0)
    assert rates.measure(1.0 + pause, 31, 3100) is None
    assert rates.measure(2.0 + pause, 61, 6100) == (30.0, 3000.0)


def test_rates_start_again_after_an_outage() -> None:
    rates = Rates()
    rates.measure(0.0, 0, 0)
    rates.measure(1.0, 30, 3000)
    rates.restart()
    assert rates.measure(1.5, 30, 3000) is None
    assert rates.measure(2.5, 50, 3000) == (20.0, 0.0)


def test_a_slow_connection_is_described_in_forms_of_falling_length() -> None:
    assert describe_link(0, 30) == ()
    forms = describe_link(3 | UpdateLevel.CHEAPER, 12)
    assert forms[0] == "slow connection: detail -3, 12 frames/s, fewer colours"
    assert [len(form) for form in forms] == sorted({len(form) for form in forms}, reverse=True)
