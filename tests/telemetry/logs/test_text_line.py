import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.telemetry.logs.text_line import (
    format_duration,
    format_number,
    format_rate,
    one_line,
    quoted_if_needed,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.1, "0.1"),
        (0.14234567, "0.142346"),
        (0.999996, "0.999996"),
        (1e-5, "1e-05"),
        (3.0, "3"),
        (1913.4567, "1913.46"),
        (999999.7, "1e+06"),
        (1234567.0, "1234567"),
        (1767225600.25, "1767225600.2"),
        (1e20, "1e+20"),
        (-0.5, "-0.5"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_are_short_but_keep_every_digit_before_the_point(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.934, "0.93"), (9.4, "9.4"), (9.5, "10"), (98.2, "98"), (1913.4, "1913")],
)
def test_rates_show_what_a_person_compares(value, text):
    assert format_rate(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0s"),
        (0.44, "0.4s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (751.0, "12m31s"),
        (3599.4, "59m59s"),
        (3599.6, "1h00m"),
        (3900.0, "1h05m"),
        (86369.0, "23h59m"),
        (86371.0, "1d00h"),
        (183600.0, "2d03h"),
        (math.inf, "unknown"),
        (math.nan, "unknown"),
    ],
)
def test_durations_show_their_two_largest_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("r\u00e9sum\u00e9", "r\u00e9sum\u00e9"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("next\u2028line\x85", "next\\u2028line\\u0085"),
        ("hidden\u202etext", "hidden\\u202etext"),
        ("lone\ud800", "lone\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
    ],
)
def test_nothing_ends_a_line_or_moves_a_cursor(text, shown):
    assert one_line(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("runs/quora", "runs/quora"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("C:\\x", '"C:\\\\x"'),
        ("a\nb", '"a\\nb"'),
        ("a\u2028b", '"a\\u2028b"'),
        ("\x1b", "\\u001b"),
    ],
)
def test_a_logfmt_value_is_quoted_only_when_it_must_be(text, shown):
    assert quoted_if_needed(text) == shown


@given(st.text(alphabet=st.characters()))
def test_any_text_stays_one_printable_line(text):
    assert one_line(text).isprintable()
    assert quoted_if_needed(text).isprintable()
