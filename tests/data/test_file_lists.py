"""Lists of files of one split, which are read one after the other."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from job.config.data import Data
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.data.packed.pack import write_pack
from job.errors import DataError
from tests.preprocessing.some_images import one_colour

PARTS = {"1.csv": ["cat,kat,1", "dog,fox,0"], "2.csv": ["emu,emo,1", "cat,emu,0"]}


def section_of(**data: object) -> Data:
    return TypeAdapter(Data).validate_python({"kind": "text", **data})


def load(folder: Path, **data: object) -> Dataset:
    return load_dataset(section_of(**data), folder=folder, seed=0)


def write(folder: Path, name: str, rows: list[str], *more: str) -> str:
    header = ",".join(["left", "right", "label", *more])
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return name


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for name, rows in PARTS.items():
        write(tmp_path, name, rows)
    write(tmp_path, "both.csv", [row for rows in PARTS.values() for row in rows])
    return tmp_path


def test_two_files_are_the_file_of_both(parts):
    both = {split: "both.csv" for split in ("train", "validation", "test")}
    whole = load(parts, **both)
    assert load(parts, **both | {"train": [*PARTS]}).fingerprint == whole.fingerprint
    assert load(parts, **{split: [*PARTS] for split in both}).fingerprint == whole.fingerprint
    assert load(parts, **both | {"train": [*PARTS][::-1]}).fingerprint != whole.fingerprint


def test_a_bad_row_names_its_file_and_the_tolerance_is_for_each(parts):
    write(parts, "3.csv", ["a,b,1", "c,d,"])
    files = {"train": ["1.csv", "3.csv", "2.csv"], "validation": "1.csv", "test": "2.csv"}
    dataset = load(parts, max_bad_fraction=0.5, **files)
    [bad] = dataset.quarantine.samples
    assert str(bad).startswith("3.csv line 3: label is empty: label it or leave the row out")
    assert (len(dataset.pairs["train"]), dataset.quarantine.rows_read) == (5, 10)
    with pytest.raises(DataError, match=r"data\.train: 1 of the 2 rows of '3\.csv' are bad"):
        load(parts, max_bad_fraction=0.25, **files)


def test_a_group_of_two_files_is_one(parts):
    # Each group has its match in one file and its non-match in the other.
    for (name, rows), groups in zip(PARTS.items(), ("xy", "yx"), strict=True):
        write(parts, name, [f"{row},{groups[at]}" for at, row in enumerate(rows)], "who")
    split = {"by": "group", "validation_fraction": 0.5}
    dataset = load(
        parts, train=[*PARTS], test="both.csv", columns={"group": "who"}, split=split
    )
    for name in ("train", "validation"):
        assert sorted(dataset.pairs[name].label.tolist()) == [0, 1]


@pytest.mark.parametrize("straddles", [False, True])
def test_a_group_may_not_straddle_splits_in_different_files(tmp_path, straddles):
    rows = ["a,b,1,{0}1,{1}", "c,d,0,{0}2,{1}"]
    groups = ("g", "h", "g" if straddles else "i")
    for group, split in zip(groups, ("train", "validation", "test"), strict=True):
        filled = [row.format(group, split) for row in rows]
        write(tmp_path, f"{split}.csv", filled, "who", "part")
    data = {
        "train": ["train.csv", "validation.csv", "test.csv"],
        "columns": {"group": "who", "split": "part"},
    }
    if straddles:
        with pytest.raises(DataError, match=r"data\.columns\.group: 'g1' has rows in several"):
            load(tmp_path, **data)
    else:
        assert {split: len(p) for split, p in load(tmp_path, **data).pairs.items()} == {
            "train": 2,
            "validation": 2,
            "test": 2,
        }


def test_a_split_that_lacks_matches_names_every_file(parts):
    write(parts, "1.csv", ["cat,kat,0"])
    write(parts, "2.csv", ["dog,kat,0"])
    with pytest.raises(
        DataError, match=r"data\.train: '1\.csv', '2\.csv': the train split has"
    ):
        load(parts, train=[*PARTS], validation="both.csv", test="both.csv")


def test_a_packed_list_is_what_the_files_give(parts):
    files = {"train": [*PARTS], "validation": "both.csv", "test": "both.csv"}
    section = section_of(**files)
    dataset = load(parts, **files)
    write_pack(dataset, folder=parts / "p", data=section.model_dump(mode="json"), seed=0)
    assert load(parts, packed="p", **files).fingerprint == dataset.fingerprint


def test_classes_of_two_folders_and_two_archives_are_joined(tmp_path):
    for folder, names in {"f": ("a", "b"), "g": ("b", "c")}.items():
        for name in names:
            for number in (1, 2):
                place = tmp_path / folder / name
                place.mkdir(parents=True, exist_ok=True)
                colour = (ord(name), ord(folder), number)
                (place / f"{number}.png").write_bytes(one_colour(colour=colour))
    data = {"kind": "image", "rows": "items", "size": 8}
    dataset = load(tmp_path, train=["f", "g"], validation="f", test="g", **data)
    assert dataset.counts["train"].classes == 3
    assert dataset.counts["train"].items == 8

    for name in ("1.npz", "2.npz"):
        values = np.random.default_rng(ord(name[0])).standard_normal((8, 3), np.float32)
        arrays = {"values": values, "lengths": np.full(4, 2), "class": np.array([*"aabb"])}
        np.savez(tmp_path / name, **arrays)
    dataset = load(
        tmp_path,
        kind="sequence",
        rows="items",
        train=["1.npz", "2.npz"],
        validation="1.npz",
        test="2.npz",
    )
    assert (dataset.counts["train"].items, dataset.counts["train"].classes) == (8, 2)
