import os
from pathlib import Path

import numpy as np
import pytest

from job.config.data import ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.items import readers
from job.data.items.readers import Reader, TextReader, reader_of
from job.data.sources.files import DataFiles
from job.data.sources.sequence_file import Features
from job.errors import DataError, PermissionDeniedError
from job.preprocessing.decode_image import ImageError
from job.types import Problem
from tests.preprocessing.some_images import one_colour


def sequences(folder: Path) -> Reader:
    section = SequenceDataConfig(train="a.csv", max_length=5)
    return reader_of(
        section, files=DataFiles(folder.resolve()), form="sequence", features=Features(None)
    )


def images(folder: Path, form: str = "decoded") -> Reader:
    section = ImageDataConfig(train="a.csv", size=8, max_pixels=1000)
    return reader_of(
        section, files=DataFiles(folder.resolve()), form=form, features=Features(None)
    )


def test_a_text_is_its_own_item(tmp_path):
    reader = reader_of(
        TextDataConfig(train="a.csv", max_length=3),
        files=DataFiles(tmp_path),
        form="text",
        features=Features(None),
    )
    assert not reader.is_slow
    assert reader.key("cafe\u0301") == Problem(
        "too_long", "has 4 characters (data.max_length is 3)"
    )
    assert reader.key("fe\u0301") == "f\u00e9"
    assert reader.read("f\u00e9").tobytes() == "f\u00e9".encode()


def test_a_text_is_called_by_its_column():
    problem = Problem("empty", "is empty")
    reader = TextReader(3)
    assert reader.named(problem, cell="", column="left") == Problem("empty", "left is empty")
    assert reader.named(problem, cell="", column=None) == problem


def test_a_file_is_called_by_its_column_and_path(tmp_path):
    problem = Problem("empty", "the file is empty")
    named = sequences(tmp_path).named
    assert named(problem, cell="x/a.npy", column="left").detail == (
        "left 'x/a.npy': the file is empty"
    )
    assert named(problem, cell="x/a.npy", column=None) == problem
    assert len(named(problem, cell="x" * 10_000, column="left").detail) < 250


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("a/b.npy", "./a//b.npy", True),
        ("a/b.npy", "a/./b.npy", True),
        # `a` may be a link to elsewhere.
        ("b.npy", "a/../b.npy", False),
        ("gs://bucket/b.npy", "gs:/bucket/b.npy", False),
    ],
)
def test_paths_that_surely_mean_one_file_are_one_item(tmp_path, one, other, is_same):
    key = sequences(tmp_path).key
    assert (key(one) == key(other)) == is_same
    assert key(key(other)) == key(other)


@pytest.mark.parametrize("cell", ["", "  "])
def test_no_path_is_no_file(tmp_path, cell):
    assert sequences(tmp_path).key(cell) == Problem("empty", "is empty")


def test_a_sequence_is_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    reader = sequences(tmp_path)
    assert reader.is_slow
    found = reader.read("a.npy")
    assert (found.dtype, reader.dtype) == (np.float32, np.float32)
    assert found.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("gone.npy", "no_file"),
        ("folder", "no_file"),
        ("pipe", "no_file"),
        ("circle", "no_file"),
        ("n" * 300, "no_file"),
        ("a\0.npy", "no_file"),
        ("\ud800.npy", "no_file"),
        ("../outside.npy", "outside"),
        ("link.npy", "outside"),
        ("/etc/passwd", "outside"),
        ("s3://bucket/a.npy", "outside"),
        ("nothing.npy", "empty"),
        ("text.npy", "format"),
    ],
)
@pytest.mark.parametrize("kind", [sequences, images])
def test_a_path_that_means_no_item_is_a_problem_of_its_row(tmp_path, kind, path, reason):
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    np.save(tmp_path / "outside.npy", np.zeros((2, 2)))
    (root / "link.npy").symlink_to(tmp_path / "outside.npy")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    (root / "nothing.npy").touch()
    (root / "text.npy").write_text("left,right,label\n")
    found = kind(root).read(path)
    assert isinstance(found, Problem)
    assert found.reason == reason


def test_a_link_inside_the_root_is_followed(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    (tmp_path / "b.npy").symlink_to("a.npy")
    assert sequences(tmp_path).read("b.npy").shape == (2, 2)


def test_a_image_becomes_pixels_or_stays_a_file(tmp_path):
    (tmp_path / "a.png").write_bytes(one_colour())
    found = images(tmp_path).read("a.png")
    assert (found.shape, found.dtype) == ((8, 8, 3), np.uint8)
    assert found[0, 0].tolist() == [1, 2, 3]
    found = images(tmp_path, "encoded").read("a.png")
    assert found.tobytes() == one_colour()


@pytest.mark.parametrize("form", ["decoded", "encoded"])
def test_a_bad_image_is_found_whatever_is_kept(tmp_path, monkeypatch, form):
    def refuse(data, *, size, resize, max_pixels):
        assert (data, size, resize, max_pixels) == (b"image", 8, "pad", 1000)
        raise ImageError("too_large", "declares too much")

    monkeypatch.setattr(readers, "read_image", refuse)
    (tmp_path / "a.png").write_bytes(b"image")
    assert images(tmp_path, form).read("a.png") == Problem("too_large", "declares too much")


def test_a_file_too_large_to_be_a_image_is_not_read(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(10 << 30)  # takes no room on the disk
    assert images(tmp_path).read("a.png") == Problem(
        "too_large", "has 10,737,418,240 bytes, at most 67,108,864"
    )


def test_a_file_that_may_not_be_read_ends_the_run(open_folder: Path, unprivileged):
    np.save(open_folder / "a.npy", np.zeros((2, 2)))
    (open_folder / "a.npy").chmod(0)
    reader = sequences(open_folder)
    with unprivileged(), pytest.raises(PermissionDeniedError, match=r"'a\.npy' may not be"):
        reader.read("a.npy")


def test_a_file_that_the_disk_does_not_give_ends_the_run(monkeypatch, tmp_path):
    # The memory of this process: opens, and fails to be read at address 0.
    monkeypatch.setattr(
        DataFiles,
        "fetch",
        lambda _, values, **__: dict.fromkeys(values, Path("/proc/self/mem")),
    )
    monkeypatch.setattr(readers.os, "fstat", lambda _: os.stat_result([0o100644] + [9] * 9))
    with pytest.raises(DataError, match=r"data\.root: 'a\.npy' cannot be read"):
        sequences(tmp_path).read("a.npy")
