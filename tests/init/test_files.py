"""Which files a name stands for: itself, those of other splits beside it, or a folder."""

from pathlib import Path

import pytest

from job.errors import ConfigError, DataError
from job.init.files import find_files


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("names", "given", "found"),
    [
        (["a.csv"], "a.csv", {"train": "a.csv"}),
        (["a.csv", "b.csv"], "a.csv", {"train": "a.csv"}),
        (
            ["train.csv.gz", "valid.csv.gz", "test.csv.gz"],
            "train.csv.gz",
            {"train": "train.csv.gz", "validation": "valid.csv.gz", "test": "test.csv.gz"},
        ),
        (
            ["train.csv", "validation.csv", "test.csv"],
            ".",
            {"train": "train.csv", "validation": "validation.csv", "test": "test.csv"},
        ),
        (
            ["en-train.tsv", "en-dev.tsv", "en-test.tsv", "de-test.tsv"],
            "en-train.tsv",
            {"train": "en-train.tsv", "validation": "en-dev.tsv", "test": "en-test.tsv"},
        ),
        (["pairs.csv", "test.csv"], "pairs.csv", {"train": "pairs.csv", "test": "test.csv"}),
        # Another format is another data set.
        (["train.csv", "test.jsonl"], "train.csv", {"train": "train.csv"}),
        (["only.npz", "README.md"], ".", {"train": "only.npz"}),
        (["x/cat/1.png", "x/dog/deep/1.jpg"], "x", {"train": "x"}),
        (
            ["x/train/cat/1.png", "x/train/dog/1.png", "x/val/cat/2.png", "x/val/dog/2.png"],
            "x",
            {"train": "train", "validation": "val"},
        ),
    ],
)
def test_files_of_a_data_set_are_found(tmp_path, names, given, found):
    touch(tmp_path, *names)
    files = find_files(tmp_path / given)
    assert {split: path.name for split, path in files.by_split.items()} == found


@pytest.mark.parametrize(
    ("names", "given", "error", "message"),
    [
        ([], "a.csv", DataError, "there is no file or folder"),
        (["a.parquet"], "a.parquet", ConfigError, "no known format. Known: .csv or .csv.gz"),
        (["a.npz.gz"], "a.npz.gz", ConfigError, "no known format"),
        (["x/only/1.png"], "x", ConfigError, "a folder of images for each class"),
        (["x/train.csv", "x/train.tsv"], "x", ConfigError, "Name the file to train on"),
    ],
)
def test_a_name_that_stands_for_no_data_set_is_refused(tmp_path, names, given, error, message):
    touch(tmp_path, *names)
    with pytest.raises(error, match=message):
        find_files(tmp_path / given)
