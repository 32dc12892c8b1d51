import gzip
import json
import logging
from pathlib import Path

import pytest

from job.config.data import DataConfig
from job.data.load import load_dataset
from job.data.tables import Dataset
from job.errors import ConfigError, DataError

Row = tuple[str, str, object]

TRAIN: list[Row] = [("cat", "kat", 1), ("cat", "dog", 0), ("dog", "dgo", 1)]
VALIDATION: list[Row] = [("emu", "emo", 1), ("cat", "emu", 0)]
TEST: list[Row] = [("yak", "jak", 1), ("yak", "emu", 0)]
FILES = {"train": "train.csv", "validation": "validation.csv", "test": "test.csv"}


def write(folder: Path, name: str, rows: list[Row]) -> str:
    if ".jsonl" in name:
        keys = ("left", "right", "label")
        text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)
    else:
        lines = ["left,right,label", *(",".join(map(str, row)) for row in rows)]
        text = "\n".join(lines).replace(",", "\t" if ".tsv" in name else ",")
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return name


def load(folder: Path, seed: int = 0, **data: object) -> Dataset:
    return load_dataset(DataConfig.model_validate(data), folder=folder, seed=seed)


@pytest.fixture
def three_files(tmp_path):
    for split, rows in {"train": TRAIN, "validation": VALIDATION, "test": TEST}.items():
        write(tmp_path, FILES[split], rows)
    return tmp_path


def test_an_item_has_one_row_number_in_all_files(three_files):
    dataset = load(three_files, **FILES)
    texts = ["cat", "kat", "dog", "dgo", "emu", "emo", "yak", "jak"]
    assert [dataset.items.row(i).tobytes().decode() for i in range(len(dataset.items))] == texts
    assert list(dataset.pairs) == ["train", "validation", "test"]
    train, validation, test = dataset.pairs.values()
    assert (train.left.tolist(), train.right.tolist()) == ([0, 0, 2], [1, 2, 3])
    assert train.label.tolist() == [1, 0, 1]
    assert (validation.left.tolist(), validation.right.tolist()) == ([4, 0], [5, 4])
    assert (test.left.tolist(), test.right.tolist()) == ([6, 6], [7, 4])
    assert dataset.kind == "text"
    assert dataset.quarantine.rows_read == 7


def test_names_formats_and_compression_do_not_change_the_fingerprint(three_files):
    names = {
        "train": write(three_files, "t.jsonl.gz", TRAIN),
        "validation": write(three_files, "v.tsv", VALIDATION),
        "test": write(three_files, "other.csv.gz", TEST),
    }
    assert load(three_files, **names).fingerprint == load(three_files, **FILES).fingerprint


def test_swapped_files_change_the_fingerprint(three_files):
    swapped = FILES | {"validation": FILES["test"], "test": FILES["validation"]}
    assert load(three_files, **swapped).fingerprint != load(three_files, **FILES).fingerprint


def test_items_that_splits_share_are_warned_of(three_files, caplog):
    load(three_files, **FILES)
    facts = [
        (record.split, getattr(record, "with"), record.shared, record.of)
        for record in caplog.records
        if record.message == "splits share items"
    ]
    # `cat` in validation is of train, `emu` in test of validation.
    assert facts == [("validation", "train", 1, 3), ("test", "validation", 1, 3)]


def family_rows(number: int) -> list[Row]:
    return [
        row for i in range(number) for row in ((f"w{i}", f"x{i}", 1), (f"w{i}", f"y{i}", 0))
    ]


def test_splits_without_a_file_are_cut_from_train(tmp_path, caplog):
    write(tmp_path, "train.csv", family_rows(20))
    dataset = load(tmp_path, train="train.csv")
    assert [len(pairs) for pairs in dataset.pairs.values()] == [32, 4, 4]
    items = [set(pairs.items().tolist()) for pairs in dataset.pairs.values()]
    assert len(set.union(*items)) == sum(map(len, items))
    assert not caplog.records
    again = load(tmp_path, train="train.csv")
    assert again.fingerprint == dataset.fingerprint
    assert load(tmp_path, seed=1, train="train.csv").fingerprint != dataset.fingerprint


@pytest.mark.parametrize("given", ["validation", "test"])
def test_a_split_with_a_file_is_left_alone(tmp_path, given):
    write(tmp_path, "train.csv", family_rows(20))
    write(tmp_path, "given.csv", VALIDATION)
    dataset = load(tmp_path, train="train.csv", **{given: "given.csv"})
    cut = "test" if given == "validation" else "validation"
    sizes = {split: len(pairs) for split, pairs in dataset.pairs.items()}
    assert sizes == {"train": 36, given: 2, cut: 4}
    assert dataset.texts(dataset.pairs[given].left) == ["emu", "cat"]


def test_a_cut_by_group_uses_the_group_column(tmp_path):
    lines = ["left,right,label,who"]
    lines += [f"a,b{row},{row % 2},{'pqrstuvwxy'[row // 2]}" for row in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    dataset = load(tmp_path, train="train.csv", columns={"group": "who"}, split={"by": "group"})
    assert [len(pairs) for pairs in dataset.pairs.values()] == [16, 2, 2]
    for pairs in dataset.pairs.values():
        rows = sorted(int(text[1:]) for text in dataset.texts(pairs.right))
        assert [row // 2 for row in rows[::2]] == [row // 2 for row in rows[1::2]]


def test_a_split_far_smaller_than_asked_for_is_warned_of(tmp_path, caplog):
    rows: list[Row] = [("hub", f"h{i}", i % 2) for i in range(92)]
    write(tmp_path, "train.csv", rows + family_rows(4))
    load(tmp_path, train="train.csv")
    facts = [(r.message, r.split, r.wanted_share, r.share) for r in caplog.records]
    assert facts == [
        ("split smaller than asked for", "validation", 0.1, 0.04),
        ("split smaller than asked for", "test", 0.1, 0.04),
    ]


def test_a_split_a_little_smaller_than_asked_for_is_not(tmp_path, caplog):
    rows: list[Row] = [("hub", f"h{i}", i % 2) for i in range(86)]
    write(tmp_path, "train.csv", rows + family_rows(7))
    dataset = load(tmp_path, train="train.csv")
    assert sorted(len(pairs) for pairs in dataset.pairs.values()) == [6, 8, 86]
    assert not caplog.records


def test_one_component_leaves_nothing(tmp_path):
    write(tmp_path, "train.csv", [("hub", f"w{i}", i % 2) for i in range(20)])
    with pytest.raises(DataError) as caught:
        load(tmp_path, train="train.csv")
    message = str(caught.value)
    assert "data.split.by: identity leaves nothing for validation and test" in message
    assert "1 connected components of items, the largest holds 100%" in message
    assert len(load(tmp_path, train="train.csv", split={"by": "row"}).pairs["test"]) > 0


@pytest.mark.parametrize("split", FILES)
def test_a_file_of_one_class_is_refused(three_files, split):
    write(three_files, FILES[split], [("a", "b", 1), ("c", "d", 1)])
    with pytest.raises(
        DataError, match=rf"data\.{split}: '{split}\.csv': the {split} split has"
    ):
        load(three_files, **FILES)


def test_a_cut_that_leaves_a_split_one_class_is_refused(tmp_path):
    rows: list[Row] = [(f"a{i}", f"b{i}", 1) for i in range(30)] + [("x", "y", 0)]
    write(tmp_path, "train.csv", rows)
    with pytest.raises(DataError, match=r"data\.split\.by: identity: the \w+ split has"):
        load(tmp_path, train="train.csv")


def test_a_bad_row_is_kept_out_counted_and_logged_once(three_files, caplog):
    rows: list[Row] = [*family_rows(100), ("bad", "row", 2)]
    write(three_files, "train.csv", rows)
    dataset = load(three_files, **FILES)
    assert len(dataset.pairs["train"]) == 200
    assert "bad" not in dataset.texts(dataset.pairs["train"].items())
    assert dataset.quarantine.num_bad == 1
    assert dataset.quarantine.samples[0].line == 202
    (record,) = [r for r in caplog.records if r.message == "rows quarantined"]
    assert record.levelno == logging.WARNING
    facts = (record.split, record.file, record.rows, record.bad_rows, record.reasons)
    assert facts == ("train", "train.csv", 201, 1, {"label": 1})
    assert record.first == [
        "train.csv line 202: label must be 0 or 1, got '2' in ['bad', 'row', '2']"
    ]


def test_the_tolerance_is_for_each_file(three_files):
    write(three_files, "train.csv", family_rows(1000))
    write(three_files, "test.csv", [*TEST, ("a", "b", 2)])
    with pytest.raises(DataError, match=r"data\.test: 1 of the 3 rows of 'test\.csv' are bad"):
        load(three_files, **FILES)
    dataset = load(three_files, **FILES, max_bad_fraction=0.4)
    assert dataset.quarantine.counts == {"label": 1}


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({"test": "gone.csv"}, DataError, "data.test: no such file"),
        ({"validation": "../v.csv"}, ConfigError, "data.validation: '../v.csv' leads to"),
        ({"test": "test.txt"}, ConfigError, "data.test: 'test.txt': '.txt' is no known"),
        ({"root": "gone"}, DataError, "data.root: no such file or folder: 'gone'"),
        ({"test": "gs://b/t.csv"}, ConfigError, "data.test: 'gs://b/t.csv': gs:// is not"),
    ],
)
def test_paths_are_checked_before_anything_is_read(three_files, data, error, words):
    (three_files / "train.csv").write_bytes(b"")
    with pytest.raises(error) as caught:
        load(three_files, **(FILES | data))
    assert str(caught.value).startswith(words)


def test_paths_are_relative_to_the_root(three_files):
    inner = three_files / "configs"
    inner.mkdir()
    assert len(load(inner, **FILES, root="..").items) == 8


def test_max_length_is_that_of_the_section(three_files):
    with pytest.raises(DataError, match=r"data\.max_length is 2\)"):
        load(three_files, **FILES, max_length=2)
