"""Files of other splits that are unlike the training file are left out, with the reason."""

from pathlib import Path

import numpy as np
import pytest

from job.errors import DataError, PermissionDeniedError
from job.init.compose import title
from job.init.look import look
from tests.tiny import write_pairs


def looked(path: Path):
    return look(path, given={}, seed=0)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    write_pairs(path, rows=200, seed=1)
    return path


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("left,right\na,b\n", "it has no column 'label'"),
        ("id\n7\n", "it has no column 'left', 'right', 'label'"),
        ("id,text,label\n7,a,1\n", "it has no column 'left', 'right'"),
    ],
)
def test_a_table_with_other_columns_is_left_out(train, content, why):
    (train.parent / "test.csv").write_text(content)
    found = looked(train)
    assert (found.unlike, list(found.files.others)) == ({"test.csv": why}, [])
    assert any(
        line.startswith(f"'test.csv' beside it is left out: {why}.") for line in title(found)
    )


def test_a_table_with_more_columns_is_used(train):
    write_pairs(train.parent / "test.csv", rows=64, seed=2)
    text = (train.parent / "test.csv").read_text().splitlines()
    lines = [f"{line},{'note' if n == 0 else n}" for n, line in enumerate(text)]
    (train.parent / "test.csv").write_text("\n".join(lines) + "\n")
    found = looked(train)
    assert (found.unlike, list(found.files.others)) == ({}, ["test"])


def test_a_table_without_the_groups_of_training_is_used(train):
    write_pairs(train.parent / "test.csv", rows=64, seed=2)
    head, *lines = train.read_text().splitlines()
    rows = [f"{line},g{n % 20}" for n, line in enumerate(lines)]
    train.write_text("\n".join([f"{head},group", *rows]))
    found = looked(train)
    assert (found.unlike, list(found.files.others)) == ({}, ["test"])
    assert (found.facts.split.by, found.quarantine.num_bad) == ("group", 0)


def test_keys_of_json_lines_count_as_columns(tmp_path):
    rows = [f'{{"left": "a{n}", "right": "b{n}", "label": {n % 2}}}\n' for n in range(200)]
    (tmp_path / "train.jsonl").write_text("".join(rows))
    (tmp_path / "test.jsonl").write_text('{"text": "a", "topic": "b"}\n')
    found = looked(tmp_path / "train.jsonl")
    assert found.unlike == {"test.jsonl": "it has no column 'left', 'right', 'label'"}


def test_arrays_without_the_class_are_left_out(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (120, 8, 8), np.uint8)
    np.savez(tmp_path / "train.npz", images=images, digit=np.arange(120) % 6)
    np.savez(tmp_path / "test.npz", images=images)
    np.savez(tmp_path / "valid.npz", item=np.array(["a", "b"]), digit=np.arange(2))
    assert looked(tmp_path / "train.npz").unlike == {
        "valid.npz": "it holds items of kind text",
        "test.npz": "it has no column 'digit'",
    }


def test_an_empty_file_beside_the_data_is_an_error(train):
    (train.parent / "test.csv").write_text("")
    with pytest.raises(DataError, match=r"init: 'test\.csv' is empty"):
        looked(train)


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_a_file_that_may_not_be_read_is_permission_denied(open_folder, unprivileged, name):
    for one in ("train.csv", "test.csv"):
        write_pairs(open_folder / one, rows=200, seed=1)
        (open_folder / one).chmod(0o644)
    (open_folder / name).chmod(0)
    with unprivileged(), pytest.raises(PermissionDeniedError, match=rf"init: '{name}' may not"):
        looked(open_folder / "train.csv")
