import csv
import errno
import gzip
import io
import json
import os

import pytest

from job.errors import ConfigError, DiskFullError, LockHeldError, PermissionDeniedError
from job.scoring.output import (
    replacing_output,
    replacing_outputs,
    require_table_name,
    table_writer,
)
from job.storage.gcs.store import GsStore
from tests.fakes.gcs_server import FakeGcs

CELLS = [["a,b", 'say "c"'], ["line\nend", "carriage\rreturn"], ["", "\u00e9\udcff"]]
SCORES = [("0.25", "1"), ("1e-05", "0"), ("1", "1")]


def written(out, rows, *, header, added=SCORES):
    stream = io.BytesIO()
    writer = table_writer(out, stream, header=header, added=("score", "match"))
    writer.write(rows[:2], added[:2])
    writer.write(rows[2:], added[2 : len(rows)])
    return stream.getvalue()


@pytest.mark.parametrize(("out", "delimiter"), [("a.csv", ","), ("A.TSV.gz", "\t")])
def test_cells_are_read_back_as_they_were(out, delimiter):
    data = written(out, CELLS, header=["x", "y"])
    text = data.decode("utf-8", "surrogateescape")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    assert rows[0] == ["x", "y", "score", "match"]
    assert [row[:2] for row in rows[1:]] == CELLS
    assert [tuple(row[2:]) for row in rows[1:]] == SCORES
    assert b"\r\n" not in data


def test_lines_of_json_stay_to_the_letter():
    lines = ['{"x": 1.0, "big":12345678901234567890.5}', '{"y": null }']
    data = written("a.jsonl", lines, header=None).decode().splitlines()
    assert data[0] == '{"x": 1.0, "big":12345678901234567890.5, "score": 0.25, "match": 1}'
    assert json.loads(data[1]) == {"y": None, "score": 1e-5, "match": 0}


def test_rows_of_a_table_become_objects():
    data = written("a.jsonl.gz", CELLS, header=["x", "y"]).decode().splitlines()
    assert json.loads(data[0]) == {"x": "a,b", "y": 'say "c"', "score": 0.25, "match": 1}
    assert json.loads(data[2])["y"] == "\u00e9\udcff"


def test_objects_become_rows_of_the_columns_of_the_first():
    rows = [{"x": "a", "n": 1}, {"n": [1, "\u00e9"]}, {"x": None, "n": True}]
    data = written("a.csv", rows, header=None).decode()
    assert data.splitlines() == [
        "x,n,score,match",
        "a,1,0.25,1",
        ',"[1, ""\u00e9""]",1e-05,0',
        ",true,1,1",
    ]


def test_an_object_with_another_key_fits_no_table():
    with pytest.raises(
        ConfigError, match=r"the key 'z', which the first row does not have.*jsonl"
    ):
        written("a.csv", [{"x": "a"}, {"z": "b"}], header=None)


@pytest.mark.parametrize("name", ["a.parquet", "a", "a.gz", "a.npz"])
def test_a_name_of_no_table_is_refused(name):
    with pytest.raises(ConfigError, match=r"OUT: .* Known: \.csv, \.tsv, \.jsonl"):
        require_table_name(name)


def test_a_file_is_complete_or_as_it_was(tmp_path):
    out = tmp_path / "a.csv"
    out.write_bytes(b"old")
    with replacing_output(str(out)) as stream:
        stream.write(b"new")
        assert out.read_bytes() == b"old"
    assert out.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [out]


def half_written(out, error, **options):
    with replacing_output(out, **options) as stream:
        stream.write(b"half")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConfigError, OSError])
def test_whatever_ends_the_work_leaves_nothing(error, tmp_path):
    with pytest.raises(error):
        half_written(str(tmp_path / "a.csv.gz"), error)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / "a.csv.partial").write_bytes(b"half of a longer file")
    with replacing_output(str(tmp_path / "a.csv")) as stream:
        stream.write(b"all")
    assert (tmp_path / "a.csv").read_bytes() == b"all"
    assert len(list(tmp_path.iterdir())) == 1


def test_gzip_is_the_same_bytes_each_time(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        with replacing_output(str(tmp_path / name)) as stream:
            stream.write(b"x" * 1000)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.csv.gz", "b.csv.gz"))
    assert a == b
    assert gzip.decompress(a) == b"x" * 1000


def test_two_processes_do_not_write_one_file(tmp_path):
    out = str(tmp_path / "a.csv")
    with replacing_output(out) as stream:
        with pytest.raises(LockHeldError, match="another process"), replacing_output(out):
            raise AssertionError
        stream.write(b"mine")
    assert (tmp_path / "a.csv").read_bytes() == b"mine"


def test_a_folder_and_a_missing_folder_are_refused(tmp_path):
    for out, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "b" / "a.csv", "there is no folder"),
    ):
        with pytest.raises(ConfigError, match=words), replacing_output(str(out)):
            raise AssertionError


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, DiskFullError), (errno.EROFS, PermissionDeniedError)]
)
def test_what_the_disk_refuses_is_told(number, error, tmp_path, monkeypatch):
    def refuse(fd):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(error, match=r"OUT: .*a\.csv"),
        replacing_output(str(tmp_path / "a.csv")),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_files_are_complete_before_the_second_and_then_the_first_get_their_names(
    tmp_path, monkeypatch
):
    seen, rename = [], os.rename

    def noted(source, target):
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        seen.append((os.path.basename(target), sizes))
        rename(source, target)

    monkeypatch.setattr(os, "rename", noted)
    with replacing_outputs([str(tmp_path / name) for name in ("a.csv", "b.csv")]) as streams:
        for number, stream in enumerate(streams, start=1):
            stream.write(bytes(number))
    assert seen == [
        ("b.csv", {"a.csv.partial": 1, "b.csv.partial": 2}),
        ("a.csv", {"a.csv.partial": 1, "b.csv": 2}),
    ]
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("name", ["a.csv", "b.csv"])
def test_where_one_of_two_files_cannot_be_completed_both_are_as_they_were(
    name, tmp_path, monkeypatch
):
    for one in ("a.csv", "b.csv"):
        (tmp_path / one).write_bytes(b"old")
    fsync = os.fsync

    def refuse(fd):
        if os.readlink(f"/proc/self/fd/{fd}").endswith(f"{name}.partial"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", refuse)
    outs = [str(tmp_path / one) for one in ("a.csv", "b.csv")]
    with pytest.raises(DiskFullError, match=name), replacing_outputs(outs):
        pass
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.csv": b"old",
        "b.csv": b"old",
    }


def test_a_full_temporary_folder_is_named_where_the_file_is_in_a_bucket():
    with FakeGcs(bucket="sets") as server:

        def open_place(uri):
            return GsStore(uri, emulator=server.url)

        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with pytest.raises(DiskFullError, match="the temporary folder"):
            half_written("gs://sets/x/a.csv", error, open_place=open_place)


def test_an_object_of_a_bucket_is_complete_or_as_it_was():
    with FakeGcs(bucket="sets") as server:

        def open_place(uri):
            return GsStore(uri, emulator=server.url)

        for data in (b"one", b"two"):
            with replacing_output("gs://sets/x/a.csv", open_place=open_place) as stream:
                stream.write(data)
            assert open_place("gs://sets/x").read("a.csv").data == data
        with pytest.raises(KeyboardInterrupt):
            half_written("gs://sets/x/a.csv", KeyboardInterrupt, open_place=open_place)
        assert open_place("gs://sets/x").read("a.csv").data == b"two"
        assert [one.name for one in open_place("gs://sets/x").list("")] == ["a.csv"]


def test_a_symbolic_link_stays_one_and_its_file_is_replaced(tmp_path):
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_text("old\n")
    link.symlink_to(target)
    with replacing_output(str(link)) as stream:
        stream.write(b"new\n")
    assert link.is_symlink()
    assert target.read_text() == "new\n"
