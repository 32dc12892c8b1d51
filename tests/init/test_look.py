"""What is measured of files: the splits they allow, their items, how far spelling goes."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from job.errors import DataError
from job.init.facts import SplitFact
from job.init.look import look
from job.init.sample import Cut
from job.init.survey import survey_table
from tests.tiny import write_pairs


def write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def facts(path: Path, **given: str):
    return look(path, given={flag: [name] for flag, name in given.items()}, seed=0).facts


def test_pairs_in_three_files_are_measured_as_they_are_split(tmp_path):
    for split, rows in {"train": 160, "validation": 64, "test": 64}.items():
        write_pairs(tmp_path / f"{split}.csv", rows=rows, seed=len(split))
    found = facts(tmp_path)
    assert (found.num_rows, found.num_validation, found.matching) == (160, 64, 0.5)
    assert found.split == SplitFact(None, 0.2, "the files beside it")
    assert found.lengths is not None
    assert (found.lengths.min, found.lengths.max) == (3.0, 3.0)
    assert 0.5 < found.spelling <= 1.0


def test_pairs_that_connect_all_items_are_cut_by_row_and_it_says_so(tmp_path):
    rows = [("hub", f"item {n}", n % 2) for n in range(300)]
    found = facts(write(tmp_path / "star.csv", ("left", "right", "label"), rows))
    assert found.split.by == "row"
    assert "scores flatter the model" in found.split.why


@pytest.mark.parametrize(("num_groups", "by"), [(2, "identity"), (3, "group")])
@pytest.mark.parametrize("rows", ["pairs", "items"])
def test_fewer_groups_than_splits_do_not_decide_the_splits(tmp_path, rows, num_groups, by):
    header = {"pairs": ("left", "right", "label"), "items": ("text", "category")}[rows]
    lines = [
        (f"a{n // 2}", f"b{n}", n % 2) if rows == "pairs" else (f"text {n}", f"class {n % 40}")
        for n in range(240)
    ]
    # Every tenth row has no group.
    groups = [f"g{n // 2 % num_groups}" if n % 10 else "" for n in range(240)]
    cells = [(*line, group) for line, group in zip(lines, groups, strict=True)]
    found = facts(write(tmp_path / "a.csv", (*header, "group"), cells))
    assert (found.rows, found.split.by) == (rows, by)


def test_two_scripts_are_noticed(tmp_path):
    hiragana = "\u3042"
    rows = [(f"word number {n}", hiragana * (1 + n % 9) + str(n), n % 2) for n in range(200)]
    found = facts(write(tmp_path / "two.csv", ("left", "right", "label"), rows))
    assert found.sides_differ == 1.0


@pytest.mark.parametrize(("num_classes", "by"), [(60, "identity"), (6, "row")])
def test_few_classes_are_shared_by_the_splits(tmp_path, num_classes, by):
    rows = [(f"text {n}", f"class {n % num_classes}") for n in range(240)]
    found = facts(write(tmp_path / "items.csv", ("text", "kind"), rows))
    assert (found.rows, found.split.by) == ("items", by)
    kept = {"identity": 0.6, "row": 1.0}[by]
    assert found.num_classes == pytest.approx(kept * num_classes, abs=1)


def test_a_folder_of_images_is_looked_at_through_a_sample(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name in range(40):
        for number in range(4):
            path = tmp_path / "faces" / f"person {name}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(path)
    found = facts(tmp_path / "faces")
    assert (found.kind, found.split.by, found.is_coloured) == ("image", "identity", True)
    assert found.image_side == 120
    whole = found.num_items
    monkeypatch.setattr("job.init.look.MAX_ROWS", {"image": 80})
    sampled = facts(tmp_path / "faces")
    assert sampled.num_surveyed <= 100
    assert sampled.num_items == pytest.approx(whole, rel=0.2)


@pytest.mark.parametrize(
    ("limit", "num_rows", "num_classes", "one_in", "by_class"),
    [
        (100, 100, 0, 1, False),
        (100, 101, 0, 2, False),
        (100, 1_000, 10, 10, False),  # of ten classes, whole ones would leave one
        (100, 1_000, 1_000, 10, True),
    ],
)
def test_a_cut_keeps_whole_classes_if_enough_are_left(
    limit, num_rows, num_classes, one_in, by_class
):
    cut = Cut.to(limit, num_rows=num_rows, num_classes=num_classes)
    assert cut == Cut(one_in, by_class)


def test_a_cut_keeps_blocks_of_pairs_and_all_items_of_a_class():
    pairs = Cut(2, by_class=False)
    kept = [n for n in range(2_000) if pairs.keeps(n, item_class=None)]
    assert kept == [*range(500), *range(1_000, 1_500)]
    classes = Cut(3, by_class=True)
    for name in map(str, range(50)):
        assert len({classes.keeps(n, item_class=name) for n in range(20)}) == 1


def test_a_large_file_of_pairs_is_measured_on_a_sample(tmp_path, monkeypatch):
    write_pairs(tmp_path / "pairs.csv", rows=3_000, seed=1)
    monkeypatch.setattr("job.init.look.MAX_ROWS", {"text": 1_500})
    found = facts(tmp_path / "pairs.csv")
    assert found.num_surveyed == 1_500
    assert found.matching == pytest.approx(0.5, abs=0.02)


def test_each_file_is_cut_by_its_own_size(tmp_path, monkeypatch):
    for split, rows in {"train": 600, "validation": 3_000, "test": 200}.items():
        write_pairs(tmp_path / f"{split}.csv", rows=rows, seed=len(split))
    monkeypatch.setattr("job.init.look.MAX_ROWS", {"text": 1_500})
    found = facts(tmp_path)
    assert (found.num_surveyed, found.num_validation) == (600, 1_500)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\na\n", "should name two columns or more"),
        (b"a,a\n1,2\n", "should name two columns or more, each once"),
        (b"\x1f\x8b not gzip", "should name two columns"),
        (b'left,right,label\n"open,1,2\n', "holds no rows"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        survey_table(path)


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"'a\.csv\.gz' cannot be read"):
        survey_table(tmp_path / "a.csv.gz")


def test_lines_of_json_are_read_as_columns(tmp_path):
    lines = (
        '{"left": "a", "right": "b", "label": 1}',
        "broken",
        '{"left": "c", "right": "d", "label": 0}',
    )
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found = survey_table(tmp_path / "a.jsonl")
    assert [column.name for column in found.columns] == ["left", "right", "label"]
    assert found.columns[2].is_binary
    assert found.num_rows == 2
