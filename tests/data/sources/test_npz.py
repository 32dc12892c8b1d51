import io
import zipfile
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


def read(path: Path, read) -> object:
    with open_npz(path, where=WHERE) as arrays:
        return read(arrays)


def refusal(path: Path, read_some) -> str:
    with pytest.raises(DataError) as caught:
        read(path, read_some)
    return str(caught.value)


def everything(arrays: Npz) -> list:
    return [
        arrays.array(name, dtype=arrays.header(name).dtype).tolist()
        for name in ("values", "lengths")
    ]


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_read_whole_or_in_blocks(tmp_path, compressed):
    values = np.arange(30.0).reshape(10, 3)
    path = npz_of(tmp_path / "a.npz", compressed=compressed, values=values)
    with open_npz(path, where=WHERE) as arrays:
        assert "values" in arrays
        assert "lengths" not in arrays
        assert arrays.header("values").shape == (10, 3)
        assert np.array_equal(arrays.array("values", dtype=np.dtype("f8")), values)
        blocks = list(arrays.blocks("values", rows=4))
    assert [len(block) for block in blocks] == [4, 4, 2]
    assert np.array_equal(np.concatenate(blocks), values)


def test_an_array_by_column_is_one_block(tmp_path):
    values = np.asfortranarray(np.arange(30.0).reshape(10, 3))
    path = npz_of(tmp_path / "a.npz", values=values)
    (block,) = read(path, lambda arrays: list(arrays.blocks("values", rows=4)))
    assert np.array_equal(block, values)


def test_rows_without_values_are_no_blocks(tmp_path):
    path = npz_of(tmp_path / "a.npz", values=np.zeros((5, 0)))
    assert read(path, lambda arrays: list(arrays.blocks("values"))) == []


def test_two_arrays_can_be_read_side_by_side(tmp_path):
    path = npz_of(
        tmp_path / "a.npz", compressed=True, a=np.arange(9), b=np.array(list("abcdefghi"))
    )
    with open_npz(path, where=WHERE) as arrays:
        a = arrays.names("a", key="id", num_rows=9)
        b = arrays.names("b", key="item", num_rows=9)
        assert list(zip(a, b, strict=True)) == list(zip(range(9), "abcdefghi", strict=True))


def test_names_are_texts_or_whole_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("job.data.sources.npz._BLOCK_BYTES", 16)
    path = npz_of(
        tmp_path / "a.npz", text=np.array(["a", "", "\U0001f600"]), number=np.array([3, 2, 1])
    )
    with open_npz(path, where=WHERE) as arrays:
        assert list(arrays.names("text", key="id", num_rows=3)) == ["a", "", "\U0001f600"]
        assert list(arrays.names("number", key="id", num_rows=3)) == [3, 2, 1]


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.array([1.5]), "float64 (1,)"),
        (np.array([True]), "bool (1,)"),
        (np.array([b"x"]), "|S1 (1,)"),
        (np.array([["a"]]), "<U1 (1, 1)"),
        (np.array("a"), "<U1 ()"),
    ],
)
def test_other_names_are_refused(tmp_path, array, got):
    path = npz_of(tmp_path / "a.npz", part=array)
    message = refusal(path, lambda arrays: list(arrays.names("part", key="group", num_rows=1)))
    assert message.startswith(
        f"{WHERE}: the array 'part' must hold one text or whole number a row (NumPy's type U "
        f"or int), got {got}. "
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_names_that_are_no_unicode_are_refused(tmp_path, order):
    codes = np.array([0x110000], order + "u4")
    path = npz_of(tmp_path / "a.npz", part=codes.view(order + "U1"))
    message = refusal(path, lambda arrays: list(arrays.names("part", key="group", num_rows=1)))
    assert message.startswith(f"{WHERE}: the array 'part' holds what is no text. ")


def test_a_missing_array_names_those_there_are_and_the_key_to_set(tmp_path):
    path = npz_of(tmp_path / "a.npz", Class=np.zeros(1), values=np.zeros(1))
    message = refusal(path, lambda arrays: arrays.header("class", key="item_class"))
    assert message == (
        f"{WHERE} has no array 'class' (data.columns.item_class). Did you mean 'Class'? Arrays "
        "of the file: 'Class', 'values'. Name the array that holds it: "
        "`data.columns.item_class: NAME`."
    )
    message = refusal(path, lambda arrays: arrays.header("lengths"))
    assert message.startswith(f"{WHERE} has no array 'lengths'. Arrays of the file: 'Class', ")


def test_names_of_another_number_are_refused(tmp_path):
    path = npz_of(tmp_path / "a.npz", part=np.arange(3))
    message = refusal(path, lambda arrays: list(arrays.names("part", key="group", num_rows=4)))
    assert message.startswith(
        f"{WHERE}: the array 'part' has 3 rows, where the file holds 4 items. "
    )


def pickled(path: Path) -> Path:
    np.savez(path, values=np.array([{}], object))
    return path


def test_a_pickle_is_refused(tmp_path):
    message = refusal(pickled(tmp_path / "a.npz"), everything)
    assert message.startswith(
        f"{WHERE}: the array 'values' holds Python objects, which only a pickle could restore, "
        "and a pickle can run anything. Save it again with np.savez"
    )


def test_an_archive_that_is_none_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"", b"left,right\n", npz_of(path, values=np.zeros(9)).read_bytes()[:-30]):
        path.write_bytes(content)
        assert refusal(path, everything).startswith(f"{WHERE} is no intact .npz file (")


def test_a_flipped_value_is_seen_by_its_checksum(tmp_path):
    path = npz_of(tmp_path / "a.npz", values=np.zeros(1000))
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    message = refusal(path, everything)
    assert message.startswith(f"{WHERE}: the array 'values' cannot be unpacked (Bad CRC-32")


def test_an_encrypted_array_is_refused(tmp_path):
    path = npz_of(tmp_path / "a.npz", values=np.zeros(10))
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + flags] |= 1
    path.write_bytes(data)
    message = refusal(path, everything)
    assert message.startswith(f"{WHERE}: the array 'values' cannot be unpacked (File ")
    assert "is encrypted" in message


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = npz_of(tmp_path / "a.npz", compressed=True, values=np.zeros(3 << 20))
    message = refusal(path, everything)
    assert message.startswith(f"{WHERE}: the array 'values' expands from ")
    assert "to 25,165,952 bytes, more than 200 times, as no data does. " in message


def test_a_small_array_may_be_packed_as_well_as_it_likes(tmp_path):
    path = npz_of(tmp_path / "a.npz", compressed=True, values=np.zeros(1 << 20))
    assert read(path, lambda arrays: arrays.array("values", dtype=np.dtype("f8")).sum()) == 0.0


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        # Larger than the file that holds it.
        ({"packed": 10**6}, "1,000,000 bytes in a file of"),
        # Larger than what there is: the header of the array says otherwise.
        (
            {"unpacked": 8128 + 8},
            "declares the shape (1000,) of float64, 8,000 bytes, and holds",
        ),
        # Smaller likewise.
        (
            {"unpacked": 8128 - 8},
            "declares the shape (1000,) of float64, 8,000 bytes, and holds",
        ),
        ({"unpacked": 2**31}, "expands from"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path, sizes, words):
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
def test_flipped_bytes_never_end_in_another_error(tmp_path_factory, whole, changes, cut):
    data = bytearray(whole)
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    path.write_bytes(data[: len(data) - cut // 10])
    with suppress(DataError):
        read(path, everything)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_packed_in_another_way_is_refused(tmp_path, method):
    path = tmp_path / "a.npz"
    stream = io.BytesIO()
    np.save(stream, np.zeros(10, np.float32))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("values.npy", stream.getvalue())
    with open_npz(path, where="data.train: 'a.npz'") as arrays:
        with pytest.raises(DataError, match="packed in a way that NumPy does not use"):
            arrays.array("values", dtype=np.dtype(np.float32))


def test_texts_that_make_room_for_very_many_characters_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{"class": np.array(["a", "b" * 70_000])})
    with open_npz(path, where="data.train: 'a.npz'") as arrays:
        with pytest.raises(DataError, match="makes room for 70,000 characters"):
            list(arrays.names("class", key="item_class", num_rows=2))
