from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.data.sources.npz import Npz, open_npz
from job.errors import DataError, PermissionDeniedError
from tests.data.archives import npz_of, with_sizes

WHERE = "data.train: 'a.npz'"


def read(path: Path, read_some) -> object:
    with open_npz(path, where=WHERE) as arrays:
        return read_some(arrays)


def refusal(path: Path, read_some) -> str:
    with pytest.raises(DataError) as caught:
        read(path, read_some)
    message = str(caught.value)
    assert message.startswith(WHERE)
    return message


def everything(arrays: Npz) -> list:
    return [arrays.array(name).tolist() for name in ("values", "lengths")]


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_read(tmp_path, compressed):
    values = np.asfortranarray(np.arange(30.0).reshape(10, 3))
    path = npz_of(
        tmp_path / "a.npz", compressed=compressed, values=values, lengths=np.arange(3)
    )
    with open_npz(path, where=WHERE) as arrays:
        assert arrays.header("values").shape == (10, 3)
        assert everything(arrays) == [values.tolist(), [0, 1, 2]]


def test_names_are_strings_or_integers(tmp_path):
    path = npz_of(
        tmp_path / "a.npz", text=np.array(["a", "", "\U0001f600"]), number=np.array([3, 2, 1])
    )
    with open_npz(path, where=WHERE) as arrays:
        assert arrays.names("text", key="id", num_rows=3) == ["a", "", "\U0001f600"]
        assert arrays.names("number", key="id") == [3, 2, 1]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([1.5]), "got float64 (1,)"),
        (np.array([True]), "got bool (1,)"),
        (np.array([b"x"]), "got |S1 (1,)"),
        (np.array([["a"]]), "got <U1 (1, 1)"),
        (np.array("a"), "got <U1 ()"),
        (np.zeros(1, [("a", "f4")]), "got [('a', '<f4')] (1,)"),
        (np.array([{}], object), "holds Python objects"),
        (np.arange(3), "has 3 rows, where the file holds 1 items"),
        (np.array([0x110000], "<u4").view("<U1"), "holds invalid text"),
        (np.array([0x110000], ">u4").view(">U1"), "holds invalid text"),
    ],
)
def test_other_names_are_rejected(tmp_path, array, words):
    path = tmp_path / "a.npz"
    np.savez(path, part=array)
    message = refusal(path, lambda arrays: arrays.names("part", key="group", num_rows=1))
    assert message.startswith(f"{WHERE}: the array 'part' ")
    assert words in message


def test_a_missing_array_names_the_others_and_the_key_to_set(tmp_path):
    path = npz_of(tmp_path / "a.npz", Class=np.zeros(1), values=np.zeros(1))
    message = refusal(path, lambda arrays: arrays.header("class", key="item_class"))
    for words in (
        "no array 'class' (data.columns.item_class)",
        "Did you mean 'Class'?",
        "'Class', 'values'",
        "`data.columns.item_class: NAME`",
    ):
        assert words in message
    assert "no array 'lengths'. Arrays" in refusal(path, lambda a: a.header("lengths"))


def test_a_file_that_is_not_an_archive_is_rejected(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"", b"left,right\n", npz_of(path, values=np.zeros(9)).read_bytes()[:-30]):
        path.write_bytes(content)
        assert "is not an intact .npz file (" in refusal(path, everything)


def flipped(data: bytearray) -> None:
    data[600] ^= 1


def encrypted(data: bytearray) -> None:
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + flags] |= 1


@pytest.mark.parametrize(
    ("damage", "words"), [(flipped, "Bad CRC-32"), (encrypted, "is encrypted")]
)
def test_a_damaged_array_is_rejected(tmp_path, damage, words):
    path = npz_of(tmp_path / "a.npz", values=np.zeros(1000))
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    message = refusal(path, everything)
    assert "the array 'values' cannot be " in message
    assert words in message


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    # Each member stays below what any file may hold; together they do not.
    half = np.zeros(3 << 19)
    path = npz_of(tmp_path / "a.npz", compressed=True, values=half, lengths=half)
    message = refusal(path, lambda arrays: pytest.fail("it was opened"))
    assert "to 25,166,080 bytes, more than 200 times its size" in message


def test_a_small_file_may_expand_without_limit(tmp_path):
    path = npz_of(tmp_path / "a.npz", compressed=True, values=np.zeros(1 << 20))
    assert read(path, lambda arrays: arrays.array("values").sum()) == 0.0


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"unpacked": 8128 + 8}, "float64, 8,000 bytes, and holds 8,008"),
        ({"unpacked": 8128 - 8}, "float64, 8,000 bytes, and holds 7,992"),
        ({"unpacked": 2**31}, "expands from"),
    ],
)
def test_declared_sizes_that_disagree_are_rejected(tmp_path, sizes, words):
    path = npz_of(
        tmp_path / "a.npz", compressed=True, values=np.random.default_rng(0).random(1000)
    )
    path.write_bytes(with_sizes(path.read_bytes(), **sizes))
    assert words in refusal(path, everything)


def test_an_unreadable_file_is_permission_denied(open_folder: Path, unprivileged):
    path = npz_of(open_folder / "a.npz", values=np.zeros(1))
    path.chmod(0)
    with unprivileged(), pytest.raises(PermissionDeniedError, match="may not be read"):
        read(path, everything)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    values = np.random.default_rng(0).normal(size=(20, 2))
    return npz_of(path, compressed=True, values=values, lengths=np.arange(4)).read_bytes()


CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6
)


@given(changes=CHANGES, cut=st.integers(0, 60))
@pytest.mark.filterwarnings("ignore")  # the header is parsed as Python
def test_flipped_bytes_never_end_in_another_error(tmp_path_factory, whole, changes, cut):
    data = bytearray(whole)
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    path.write_bytes(data[: len(data) - cut // 10])
    with suppress(DataError):
        read(path, everything)
