import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.checkpoints.canonical_json import DamagedError, dumps, loads

LIMIT = 1 << 20


def test_equal_values_have_one_spelling() -> None:
    assert dumps({"b": [1, 1.0, None, True], "a": "\u00e4"}) == (
        b'{"a":"\\u00e4","b":[1,1.0,null,true]}\n'
    )
    assert dumps({"a": 1, "b": (2,)}) == dumps({"b": [2], "a": 1})


@given(st.floats())
def test_every_float_comes_back_exactly(value: float) -> None:
    back = loads(dumps({"x": [value]}), limit_bytes=LIMIT)["x"][0]
    assert type(back) is float
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


def test_non_finite_floats_are_marked_so_that_the_file_stays_json() -> None:
    assert dumps([math.nan, math.inf, -math.inf]) == (
        b'[{"$float":"nan"},{"$float":"inf"},{"$float":"-inf"}]\n'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=40)
@given(JSON)
def test_every_json_value_comes_back(value: Any) -> None:
    if "$float" not in repr(value):
        assert loads(dumps(value), limit_bytes=LIMIT) == value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [0, np.float32(1)]}, r"value\.a\[1\]: float32"),
        ({"a": {"b": np.int64(1)}}, r"value\.a\.b: int64"),
        (b"bytes", "value: bytes"),
        ({1: 2}, "key 1 is not text"),
        ({"a": {1, 2}}, r"value\.a: set"),
    ],
)
def test_value_that_json_has_not_is_refused_with_its_place(value: Any, where: str) -> None:
    with pytest.raises(TypeError, match=where):
        dumps(value)


def test_key_that_marks_floats_is_refused() -> None:
    with pytest.raises(ValueError, match="Use another"):
        dumps({"a": {"$float": 1}})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a":1}{', "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"a":NaN}', "NaN is not a JSON number"),
        (b'{"a":-Infinity}', "-Infinity is not a JSON"),
        (b'{"a":1e999}', "1e999 is not a JSON number"),
        (b'{"a":1,"a":2}', "occurs twice"),
        (b'{"$float":"nan","b":1}', "is not a non-finite float"),
        (b'{"$float":"NaN"}', "is not a non-finite float"),
        (b"[" * 200_000, "not valid JSON"),
        (b"1" * 5000, "not valid JSON"),
        (b" " * (LIMIT + 1), f"{LIMIT + 1} bytes of JSON"),
    ],
)
def test_damaged_json_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedError, match=reason):
        loads(data, limit_bytes=LIMIT)
