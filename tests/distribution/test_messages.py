import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from job.distribution.messages import MalformedMessageError, Message, read_message

JSON = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
)
ARRAYS = st.dictionaries(
    st.text(max_size=8).filter(lambda name: "\0" not in name and name == name.rstrip("\0")),
    arrays_of.arrays(
        st.sampled_from(["f4", "i8", "?", "u1"]), arrays_of.array_shapes(min_dims=0, min_side=0)
    ),
    max_size=3,
)


def exactly(frame):
    stream = io.BytesIO(frame)
    return stream.read


@given(kind=st.text(max_size=9), facts=JSON, arrays=ARRAYS)
def test_a_message_arrives_as_it_was_sent(kind, facts, arrays):
    got = read_message(exactly(Message(kind, facts, arrays).encode()))
    assert (got.kind, dict(got.facts)) == (kind, facts)
    assert list(got.arrays) == list(arrays)
    for name, array in arrays.items():
        assert got.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(got.arrays[name], array)


def test_names_of_variables_may_contain_slashes_and_be_names_of_arguments():
    names = ["model|encoder/lstm/kernel", "file", "names", "arr_0"]
    sent = Message("variables", {}, dict.fromkeys(names, np.ones((2, 3), np.float32)))
    assert list(read_message(exactly(sent.encode())).arrays) == names


@pytest.mark.parametrize(
    "frame",
    [
        b"GET /metrics HTTP/1.1\r\n\r\n",
        Message("steps").encode()[:4] + b"\xff" * 12,  # lengths beyond all bounds
        Message("steps").encode().replace(b'{"kind"', b'["kind"'),
        Message("steps", arrays={"a": np.arange(3)}).encode()[:-40] + b"\0" * 40,
    ],
)
def test_what_is_no_message_is_rejected(frame):
    with pytest.raises(MalformedMessageError):
        read_message(exactly(frame))


def test_pickled_objects_are_never_loaded():
    packed = io.BytesIO()
    np.savez(packed, names=np.array(["x"]), arr_0=np.array([{"a": 1}], dtype=object))
    plain = Message("x", arrays={"x": np.arange(2)}).encode()
    head = plain[:8]
    text = plain[16:].split(b"}}")[0] + b"}}"
    frame = head + len(packed.getvalue()).to_bytes(8, "big") + text + packed.getvalue()
    with pytest.raises(MalformedMessageError):
        read_message(exactly(frame))


def test_a_greeting_of_a_stranger_is_limited():
    with pytest.raises(MalformedMessageError):
        read_message(exactly(Message("x", {"a": "b" * 100}).encode()), limit_bytes=50)
