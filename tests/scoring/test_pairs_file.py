"""What is refused of a file of pairs before a model is loaded."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from job.commands.shared import reads_bucket
from job.config.data import Data
from job.errors import ConfigError, DataError
from job.scoring.pairs_file import ADDED, open_pairs

SECTION = TypeAdapter(Data).validate_python({"kind": "text", "train": "a.csv"})


def opened(path: Path):
    return open_pairs(str(path), section=SECTION, items=None, root=None, access=reads_bucket())


@pytest.mark.parametrize("name", ADDED)
def test_a_column_that_is_added_is_refused(tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_text(f"left,right,{name}\na,b,1\n")
    with pytest.raises(ConfigError, match=f"a.csv' has a column '{name}' already, and score"):
        opened(path)


def test_another_separator_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("left;right\na;b\n")
    with pytest.raises(DataError, match="separates its columns by ';'"):
        opened(path)


def test_a_key_that_is_added_is_refused_in_the_first_row_that_can_be_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('broken\n{"left": "a", "right": "b", "match": 1}\n')
    with pytest.raises(ConfigError, match="line 2, has a column 'match' already"):
        opened(path)


@pytest.mark.parametrize("content", ['{"left": "a", "right": "b"}\n', "broken\n", ""])
def test_json_lines_without_such_a_key_are_opened(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    assert opened(path).header is None


def test_too_many_bad_items_name_the_argument_that_allows_more(tmp_path):
    (tmp_path / "items.csv").write_text("id,item\n1,one\n2,\n")
    path = tmp_path / "a.csv"
    path.write_text("left,right\n1,1\n")
    items = str(tmp_path / "items.csv")
    pairs = open_pairs(
        str(path), section=SECTION, items=items, root=None, access=reads_bucket()
    )
    with (
        pytest.raises(DataError, match="more than --max-bad-fraction allows") as caught,
        pairs.opened(SECTION, watch=lambda _: None),
    ):
        pass
    assert "Or raise --max-bad-fraction" in str(caught.value)
