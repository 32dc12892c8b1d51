"""Data with bad rows: whether the configuration runs, and what is to be done first."""

from pathlib import Path

import pytest

from job.errors import DiskFullError, PermissionDeniedError
from job.init.compose import is_too_bad, obstacle, title
from job.init.look import look
from job.init.sample import write_cut_folder
from tests.full_disk import no_file_above
from tests.tiny import write_pairs


def looked(path: Path):
    return look(path, given={}, seed=0)


def add_empty(path: Path, num_rows: int) -> None:
    with path.open("a") as file:
        file.write(",dog,1\n" * num_rows)


def test_a_few_bad_rows_are_left_out(tmp_path):
    path = tmp_path / "a.csv"
    write_pairs(path, rows=300, seed=1)
    add_empty(path, 3)
    found = looked(path)
    text = "\n".join(title(found))
    assert obstacle(found) == ""
    assert "It runs as it is:" in text
    assert "0.99% of the rows cannot be used and are left out" in text


def test_too_many_bad_rows_are_said_with_their_reasons(tmp_path):
    path = tmp_path / "a.csv"
    write_pairs(path, rows=180, seed=1)
    add_empty(path, 20)
    found = looked(path)
    text = "\n".join(title(found))
    assert obstacle(found).startswith(
        "It does not run yet: 10.00% of the rows cannot be used (empty 20; the first of them: "
        "left is empty), and training allows 1.00%."
    )
    assert obstacle(found) in text
    assert "It runs as it is" not in text


def add_groups(path: Path, groups: list[str]) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join(map(",".join, zip(lines, ["group", *groups], strict=True))))


def test_gaps_of_a_group_that_only_the_report_needs_are_no_bad_rows(tmp_path):
    for seed, split in enumerate(("train", "validation", "test")):
        path = tmp_path / f"{split}.csv"
        write_pairs(path, rows=160, seed=seed)
        add_groups(path, [f"g{row % 8}" if row % 4 else "" for row in range(160)])
    found = looked(tmp_path / "train.csv")
    assert found.roles.columns["group"] == "group"
    assert (obstacle(found), found.facts.share_bad, found.facts.num_rows) == ("", 0.0, 160)


def test_gaps_of_a_group_that_a_cut_keeps_in_one_split_are_bad_rows(tmp_path):
    path = tmp_path / "a.csv"
    write_pairs(path, rows=200, seed=1)
    add_groups(path, [f"g{row % 20}" if row % 4 else "" for row in range(200)])
    found = looked(path)
    assert found.facts.split.by == "group"
    assert "(empty 50; the first of them: group is empty)" in obstacle(found)


def test_the_worst_file_decides(tmp_path):
    write_pairs(tmp_path / "train.csv", rows=3_000, seed=1)
    write_pairs(tmp_path / "test.csv", rows=98, seed=2)
    add_empty(tmp_path / "test.csv", 2)
    found = looked(tmp_path / "train.csv")
    assert found.facts.share_bad == 0.02
    assert is_too_bad(found.facts)


def test_a_full_temporary_folder_is_named_and_not_the_data(tmp_path, monkeypatch):
    write_pairs(tmp_path / "pairs.csv", rows=3_000, seed=1)
    monkeypatch.setattr("job.init.look.MAX_ROWS", {"text": 1_500})
    with pytest.raises(DiskFullError, match="the temporary folder"), no_file_above(100):
        looked(tmp_path / "pairs.csv")


def test_a_folder_that_may_not_be_read_is_permission_denied(
    open_folder, unprivileged, tmp_path
):
    (open_folder / "cats").mkdir(mode=0o700)
    with (
        unprivileged(),
        pytest.raises(PermissionDeniedError, match=r"may not be read .*cats: permission"),
    ):
        write_cut_folder(open_folder, tmp_path / "a.csv", limit=10)
