import gzip
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from job.config.data import Data
from job.data.dataset import Dataset, PairTable, SplitCounts
from job.data.load import load_dataset
from job.errors import ConfigError, DataError
from job.preprocessing.vocabulary import CharacterVocabulary
from tests.data.archives import npz_of
from tests.preprocessing.some_images import one_colour

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
    section = TypeAdapter(Data).validate_python({"kind": "text", **data})
    return load_dataset(section, folder=folder, seed=seed)


@pytest.fixture
def three_files(tmp_path):
    for split, rows in {"train": TRAIN, "validation": VALIDATION, "test": TEST}.items():
        write(tmp_path, FILES[split], rows)
    return tmp_path


def test_an_item_has_one_row_number_in_all_files(three_files):
    dataset = load(three_files, **FILES)
    texts = ["cat", "kat", "dog", "dgo", "emu", "emo", "yak", "jak"]
    assert dataset.items.texts(np.arange(len(dataset.items))) == texts
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
    assert dataset.items.texts(dataset.pairs[given].left) == ["emu", "cat"]


def test_a_cut_by_group_uses_the_group_column(tmp_path):
    lines = ["left,right,label,who"]
    lines += [f"a,b{row},{row % 2},{'pqrstuvwxy'[row // 2]}" for row in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    dataset = load(tmp_path, train="train.csv", columns={"group": "who"}, split={"by": "group"})
    assert [len(pairs) for pairs in dataset.pairs.values()] == [16, 2, 2]
    for pairs in dataset.pairs.values():
        rows = sorted(int(text[1:]) for text in dataset.items.texts(pairs.right))
        assert [row // 2 for row in rows[::2]] == [row // 2 for row in rows[1::2]]


def group_names(pairs: PairTable) -> list[str | None] | None:
    """The name of the group of each pair."""
    groups = pairs.groups
    if groups is None:
        return None
    return [None if n < 0 else groups.names.text(n) for n in groups.number.tolist()]


def test_test_pairs_that_are_cut_from_training_keep_the_names_of_their_groups(tmp_path):
    lines = ["left,right,label,who"]
    lines += [f"a,{name}{label},{label},{name}" for name in "pqrstuvwxy" for label in (0, 1)]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    dataset = load(tmp_path, train="train.csv", columns={"group": "who"}, split={"by": "group"})
    test = dataset.pairs["test"]
    assert group_names(test) == [text[0] for text in dataset.items.texts(test.right)]
    assert dataset.pairs["train"].groups is dataset.pairs["validation"].groups is None


def add_groups(path: Path, groups: list[str]) -> None:
    """Adds the column `who` to a file of pairs."""
    lines = path.read_text().split()
    path.write_text("\n".join(map(",".join, zip(lines, ["who", *groups], strict=True))))


def test_a_group_that_only_the_report_needs_loses_no_row(three_files, caplog):
    plain = load(three_files, **FILES)
    for split, groups in {"train": ["x", "", ""], "validation": ["", "y"]}.items():
        add_groups(three_files / FILES[split], groups)
    add_groups(three_files / "test.csv", ["", "z"])
    dataset = load(three_files, **FILES, columns={"group": "who"})
    assert dataset.quarantine.num_bad == 0
    assert dataset.fingerprint == plain.fingerprint
    found = {split: group_names(pairs) for split, pairs in dataset.pairs.items()}
    assert found == {"train": None, "validation": None, "test": [None, "z"]}
    assert {record.message for record in caplog.records} == {"splits share items"}


def test_a_test_that_is_cut_without_regard_to_groups_may_have_rows_without_one(tmp_path):
    write(tmp_path, "train.csv", family_rows(40))
    add_groups(tmp_path / "train.csv", ["", "x"] * 40)
    dataset = load(tmp_path, train="train.csv", columns={"group": "who"})
    assert sum(map(len, dataset.pairs.values())) == 80
    assert group_names(dataset.pairs["test"]) == [None, "x"] * 4
    assert dataset.pairs["validation"].groups is None
    with pytest.raises(DataError, match="who is empty"):
        load(tmp_path, train="train.csv", columns={"group": "who"}, split={"by": "group"})


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_test_file_without_groups_is_warned_of_and_a_name_that_no_file_has_refused(
    three_files, caplog, ending
):
    files = FILES | {"test": write(three_files, f"one{ending}", TEST)}
    add_groups(three_files / "validation.csv", ["x", "y"])
    dataset = load(three_files, **files, columns={"group": "who"})
    assert dataset.pairs["test"].groups is None
    [record] = [r for r in caplog.records if r.message == "file without groups"]
    assert (record.levelno, record.file) == (logging.WARNING, f"one{ending}")
    assert record.column == "who"
    if ending == ".csv":
        assert record.columns == ["left", "right", "label"]
    with pytest.raises(DataError, match=r"'train\.csv' has no column 'whom' .*columns\.group"):
        load(three_files, **files, columns={"group": "whom"})


def test_malformed_groups_of_test_are_counted_and_empty_ones_are_not(three_files, caplog):
    families = ({}, {"who": ""}, {"who": None}, {"who": 1.5}, {"who": [1]}, {"who": "a\0"})
    rows = [
        {"left": "yak", "right": "emu", "label": n % 2} | family
        for n, family in enumerate(families)
    ]
    (three_files / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    load(three_files, **FILES | {"test": "test.jsonl"}, columns={"group": "who"})
    [record] = [r for r in caplog.records if "groups" in r.message]
    assert (record.message, record.levelno) == ("groups malformed", logging.WARNING)
    facts = (record.file, record.column, record.cells, record.reasons)
    assert facts == ("test.jsonl", "who", 3, {"malformed": 2, "undecodable": 1})


def test_files_of_their_own_have_groups_where_they_have_the_column(three_files):
    plain = load(three_files, **FILES)
    (three_files / "grouped.csv").write_text("left,right,label,who\nyak,jak,1,4\nyak,emu,0,\n")
    write(three_files, "more.csv", TEST)
    columns = {"group": "who"}
    with_column = load(three_files, **FILES | {"test": "grouped.csv"}, columns=columns)
    assert group_names(with_column.pairs["test"]) == ["4", None]
    assert with_column.fingerprint == plain.fingerprint
    both = load(three_files, **FILES | {"test": ["more.csv", "grouped.csv"]}, columns=columns)
    assert group_names(both.pairs["test"]) == [None, None, "4", None]


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


def test_a_bad_row_is_rejected_counted_and_logged_once(three_files, caplog):
    rows: list[Row] = [*family_rows(100), ("bad", "row", 2)]
    write(three_files, "train.csv", rows)
    dataset = load(three_files, **FILES)
    assert len(dataset.pairs["train"]) == 200
    assert "bad" not in dataset.items.texts(dataset.pairs["train"].items())
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
        ({"test": "test.txt"}, ConfigError, "data.test: 'test.txt': '.txt' is not a known"),
        ({"root": "gone"}, DataError, "data.root: no such file or folder: 'gone'"),
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


def test_a_dataset_is_counted_when_it_is_made(three_files):
    dataset = load(three_files, **FILES)
    assert dataset.training_items is None
    assert dataset.counts == {
        "train": SplitCounts(3, 2, 4),
        "validation": SplitCounts(2, 1, 3),
        "test": SplitCounts(2, 1, 3),
    }
    assert dataset.statistics == CharacterVocabulary("acdgkot")


@pytest.mark.parametrize("by", ["group", "row"])
def test_items_that_a_cut_shares_are_warned_of(tmp_path, caplog, by):
    # Every pair has an item of its own and one that all pairs of its label have.
    rows = [f"{'common' if i % 2 else 'usual'},w{i},{i % 2},g{i // 5}" for i in range(100)]
    (tmp_path / "train.csv").write_text("\n".join(["left,right,label,who", *rows]))
    columns = {"columns": {"group": "who"}} if by == "group" else {}
    load(tmp_path, train="train.csv", split={"by": by}, **columns)
    facts = [
        (r.split, getattr(r, "with"), r.shared)
        for r in caplog.records
        if r.message == "splits share items"
    ]
    assert [fact[:2] for fact in facts] == [
        ("validation", "train"),
        ("test", "train"),
        ("test", "validation"),
    ]
    assert all(shared in (1, 2) for *_, shared in facts)


@pytest.mark.parametrize("rows_are", ["pairs", "items"])
def test_a_group_may_not_straddle_the_splits_that_a_column_names(tmp_path, rows_are):
    if rows_are == "pairs":
        lines = ["left,right,label,part,who"]
        for i, part in enumerate(("train", "test", "validation")):
            lines += [f"w{i},x{i},1,{part},p{i}", f"w{i},y{i},0,{part},p{i}"]
        lines.append("w9,x9,1,test,p0")
    else:
        lines = ["item,class,part,who"]
        for i, part in enumerate(("train", "test", "validation")):
            lines += [f"{x}{i},{x[0]},{part},p{i}" for x in ("aa", "ab", "ba", "bb")]
        lines.append("ac,a,test,p0")
    columns = {"split": "part", "group": "who"}
    (tmp_path / "train.csv").write_text("\n".join(lines[:-1]))
    load(tmp_path, train="train.csv", rows=rows_are, columns=columns)
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        load(tmp_path, train="train.csv", rows=rows_are, columns=columns)
    assert str(caught.value).startswith(
        "data.columns.group: 'p0' has rows in several splits of data.columns.split ('part'). "
    )


def test_a_column_may_say_the_split_of_a_row(tmp_path, caplog):
    lines = ["left,right,label,part"]
    for i, part in enumerate(("train", "train", "test", "validation")):
        lines += [f"w{i},x{i},1,{part}", f"w{i},y{i},0,{part}"]
    (tmp_path / "train.csv").write_text("\n".join([*lines, "w0,z,0,test"]))
    dataset = load(tmp_path, train="train.csv", columns={"split": "part"})
    assert {split: len(pairs) for split, pairs in dataset.pairs.items()} == {
        "train": 4,
        "validation": 2,
        "test": 3,
    }
    assert dataset.items.texts(dataset.pairs["validation"].left) == ["w3", "w3"]
    assert [(r.message, r.split, r.shared) for r in caplog.records] == [
        ("splits share items", "test", 1)
    ]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["train"] * 4, r"data\.columns\.split: 'part' of 'train\.csv' names no row of valid"),
        (
            ["train", "train", "validation", "test"],
            r"data\.columns\.split: 'part': the validation split has 1 matches",
        ),
    ],
)
def test_a_column_that_leaves_a_split_unusable_is_refused(tmp_path, parts, words):
    lines = [f"w{i},x{i},{(i + 1) % 2},{part}" for i, part in enumerate(parts)]
    (tmp_path / "train.csv").write_text("\n".join(["left,right,label,part", *lines]))
    with pytest.raises(DataError, match=words):
        load(tmp_path, train="train.csv", columns={"split": "part"})


def test_pairs_may_name_texts_by_an_id(three_files):
    plain = load(three_files, **FILES)
    texts = plain.items.texts(np.arange(len(plain.items)))
    # Backwards, and with one that no pair names: neither shows.
    ids = ["id,item", "x99,unused", *(f"x{i},{text}" for i, text in enumerate(texts))]
    (three_files / "items.csv").write_text("\n".join([ids[0], *reversed(ids[1:])]))
    for split, name in FILES.items():
        rows = {"train": TRAIN, "validation": VALIDATION, "test": TEST}[split]
        named = [(f"x{texts.index(a)}", f"x{texts.index(b)}", label) for a, b, label in rows]
        write(three_files, f"ids-{name}", named)
    files = {split: f"ids-{name}" for split, name in FILES.items()}
    assert load(three_files, **files, items="items.csv").fingerprint == plain.fingerprint
    npz_of(
        three_files / "items.npz",
        id=np.array([line.split(",")[0] for line in ids[1:]]),
        item=np.array([line.split(",")[1] for line in ids[1:]]),
    )
    assert load(three_files, **files, items="items.npz").fingerprint == plain.fingerprint


@pytest.fixture
def sequences(tmp_path):
    """Pairs of sequences as files of their own, as a table by id, and as arrays by id."""
    random = np.random.default_rng(0)
    items = [random.normal(size=(length, 2)).astype(np.float32) for length in range(1, 13)]
    (tmp_path / "x").mkdir()
    for number, item in enumerate(items):
        np.save(tmp_path / f"x/{number}.npy", item)
    table = ["id,item", *(f"{number},x/{number}.npy" for number in range(12))]
    (tmp_path / "items.csv").write_text("\n".join(table))
    npz_of(
        tmp_path / "items.npz",
        values=np.concatenate(items),
        lengths=np.arange(1, 13),
        id=np.arange(12),
    )
    pairs = {"train": [(7, 3, 1), (3, 5, 0)], "validation": [(1, 0, 1), (9, 0, 0)]}
    pairs["test"] = [(10, 2, 0), (11, 10, 1)]
    for split, rows in pairs.items():
        write(tmp_path, f"ids-{split}.csv", rows)
        write(tmp_path, f"{split}.csv", [(f"x/{a}.npy", f"x/{b}.npy", n) for a, b, n in rows])
    return tmp_path, items


def test_pairs_of_sequences_are_the_same_from_every_source(sequences):
    folder, items = sequences
    ids = {split: f"ids-{name}" for split, name in FILES.items()}
    paths = load(folder, kind="sequence", **FILES)
    assert paths.items.form == "sequence"
    order = [7, 3, 5, 1, 0, 9, 10, 2, 11]
    assert len(paths.items) == len(order)
    for number, item in enumerate(order):
        assert np.array_equal(paths.items.values.row(number), items[item])
    steps = np.concatenate([items[7], items[3], items[5]]).astype(np.float64)
    assert paths.statistics.mean == pytest.approx(steps.mean(axis=0))
    for source in ("items.csv", "items.npz"):
        found = load(folder, kind="sequence", **ids, items=source)
        assert found.fingerprint == paths.fingerprint
        assert found.statistics == paths.statistics


def test_a_bad_sequence_costs_the_rows_that_name_it(sequences):
    folder, _ = sequences
    rows = (folder / "train.csv").read_text().splitlines()
    rows[1:1] = ["x/3.npy,x/bad.npy,1", "x/bad.npy,x/7.npy,0", "x/3.npy,../x/3.npy,1"]
    (folder / "train.csv").write_text("\n".join(rows))
    np.save(folder / "x/bad.npy", np.zeros((2, 3)))
    dataset = load(folder, kind="sequence", **FILES, max_bad_fraction=0.7)
    assert [str(bad).split(" in [")[0] for bad in dataset.quarantine.samples] == [
        "train.csv line 2: right 'x/bad.npy': has 3 features where the first sequence, 'x/"
        "3.npy', has 2",
        "train.csv line 3: left 'x/bad.npy': has 3 features where the first sequence, 'x/"
        "3.npy', has 2",
        "train.csv line 4: right '../x/3.npy': leads out of data.root",
    ]
    # Found by a bad row first, x/3.npy is numbered by the first good one all the same.
    assert dataset.pairs["train"].left.tolist() == [0, 1]
    assert dataset.items.values.lengths[:2].tolist() == [8, 4]


def test_the_file_of_items_is_judged_by_itself(sequences, caplog):
    folder, _ = sequences
    ids = {split: f"ids-{name}" for split, name in FILES.items()}
    with (folder / "items.csv").open("a") as file:
        file.write("\n3,x/again.npy")
    with pytest.raises(
        DataError, match=r"data\.items: 1 of the 13 rows of 'items\.csv' are bad"
    ):
        load(folder, kind="sequence", **ids, items="items.csv")
    dataset = load(folder, kind="sequence", **ids, items="items.csv", max_bad_fraction=0.1)
    assert dataset.quarantine.counts == {"duplicate": 1}
    assert dataset.quarantine.rows_read == 19
    (record,) = [r for r in caplog.records if r.message == "rows quarantined"]
    assert (record.split, record.file) == ("items", "items.csv")


@pytest.mark.parametrize("storage", ["decoded", "encoded"])
def test_pairs_of_images_keep_pixels_or_files(tmp_path, storage):
    rows = []
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(one_colour(colour=(number, 0, 0)))
        rows.append((f"{number}.png", f"{number // 2 * 2}.png", number % 2))
    write(tmp_path, "train.csv", [(left, right, label) for left, right, label in rows])
    dataset = load(
        tmp_path, kind="image", train="train.csv", size=8, storage=storage, split={"by": "row"}
    )
    assert dataset.items.form == storage
    assert dataset.statistics is None
    if storage == "encoded":
        assert dataset.items.values.row(1).tobytes() == one_colour(colour=(1, 0, 0))
    else:
        assert dataset.items.values.values.shape == (20 * 8, 8, 3)
        assert dataset.items.values.row(1)[:, :, 0].tolist() == [[1] * 8] * 8


def test_images_of_arrays_are_pixels_and_nothing_else(tmp_path):
    images = np.arange(20, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    npz_of(tmp_path / "items.npz", images=images, id=np.arange(20))
    write(tmp_path, "train.csv", [(i, i // 2 * 2, i % 2) for i in range(20)])
    given = {"kind": "image", "train": "train.csv", "items": "items.npz", "size": 8}
    dataset = load(tmp_path, **given, split={"by": "row"})
    assert dataset.items.form == "decoded"
    with pytest.raises(ConfigError, match=r"storage: encoded has no effect on 'items\.npz'"):
        load(tmp_path, **given, split={"by": "row"}, storage="encoded")
    assert dataset.items.values.row(3).tolist() == [[[3] * 3] * 8] * 8
