"""The YAML 1.2 core schema, by the tables of its section 10.3."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from job.config.loader.yaml12 import read_document
from job.config.scalars import MAX_DIGITS, join_key, preview, resolve, to_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("nULL", "nULL"),
        ("none", "none"),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("N", "N"),
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        ("-12", -12),
        ("010", 10),
        ("0o17", 15),
        ("0o18", "0o18"),
        ("-0o17", "-0o17"),
        ("0x1F", 31),
        ("0x1g", "0x1g"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        (".", "."),
        ("-.5", -0.5),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("1e", "1e"),
        ("1.5e+2", 150.0),
        ("12e03", 12000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("2026-01-02", "2026-01-02"),
        ("<<", "<<"),
        ("=", "="),
        ("\u0663", "\u0663"),  # a digit, but no ASCII one
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number_has_three_spellings(text: str) -> None:
    value = resolve(text)
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("text", ["9" * (MAX_DIGITS + 1), "1." + "0" * MAX_DIGITS])
def test_a_number_beyond_the_digit_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 100 digits"):
        resolve(text)


def test_a_number_of_exactly_the_digit_limit_is_read() -> None:
    assert resolve("9" * MAX_DIGITS) == 10**MAX_DIGITS - 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (1e-5, "1.0e-05"),
        (1.5e300, "1.5e+300"),
        (0.001, "0.001"),
        (10.0, "10.0"),
        (math.inf, ".inf"),
        (-math.inf, "-.inf"),
        (math.nan, ".nan"),
        ("a_b/c.csv", "a_b/c.csv"),
        ("no", '"no"'),
        ("Off", '"Off"'),
        ("null", '"null"'),
        ("1e-3", '"1e-3"'),
        ("0o17", '"0o17"'),
        ("", '""'),
        ("~", '"~"'),
        ("a: b", '"a: b"'),
        ('"', '"\\""'),
        ("a\nb", '"a\\nb"'),
        ("\u2028\x9b\ufeff", '"\\u2028\\u009b\\ufeff"'),
        ({}, "{}"),
        ([1, ["x", None]], "[1, [x, null]]"),
        ({"a b": {"c": 1}}, '{"a b": {c: 1}}'),
    ],
)
def test_a_value_is_written_on_one_line_of_yaml(value: object, text: str) -> None:
    assert to_yaml(value) == text


@given(JSON)
def test_what_is_written_reads_back_equal(value: object) -> None:
    document = read_document(f"key: {to_yaml(value)}".encode())
    assert not document.problems
    assert document.values == {"key": value}


@given(JSON.filter(lambda value: not isinstance(value, float) or math.isfinite(value)))
def test_readers_of_yaml_1_1_understand_the_same(value: object) -> None:
    assert yaml.safe_load(f"key: {to_yaml(value)}") == {"key": value}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("relu", "'relu'"),
        ("no", "'no'"),
        ('say "x"', "'say \"x\"'"),
        ("\x1b[31mred\n", "'\\u001b[31mred\\n'"),
        (True, "true"),
        ([1, 2], "[1, 2]"),
        ("x" * 78, "'" + "x" * 78 + "'"),
        ("x" * 79, "'" + "x" * 76 + "..."),
        (list(range(100)), "[" + ", ".join(map(str, range(22))) + "..."),
    ],
)
def test_a_value_in_a_message_is_short_and_printable(value: object, text: str) -> None:
    assert preview(value) == text
    assert len(text) <= 80


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("training", "epochs"), "training.epochs"),
        (("callbacks", "custom", 0, "target"), "callbacks.custom.0.target"),
        (("a.b", "c"), "'a.b'.c"),
        (("", "a b", "\x1b"), "''.'a b'.'\\u001b'"),
    ],
)
def test_a_path_is_joined_with_dots(path: tuple[str | int, ...], text: str) -> None:
    assert join_key(path) == text
