"""A setting that may be one name or a list of names."""

from pathlib import Path
from typing import Any, Protocol

import pytest

from job.config.describe import explain, show
from job.config.loader.load_config import LoadedConfig, load_config
from job.config.names import names_of, shown
from job.config.resume import as_record, binding_diff
from job.errors import ConfigError

LISTS = """\
run: {name: a}
data:
  train: [a.csv, b.csv]
  columns: {left: [name, town], right: [name2, town2]}
"""


class Load(Protocol):
    def __call__(self, text: str, **given: Any) -> LoadedConfig: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(text: str, **given: Any) -> LoadedConfig:
        (tmp_path / "c.yaml").write_text(text)
        return load_config(tmp_path / "c.yaml", **({"env": {}, "sets": []} | given))

    return loaded


@pytest.mark.parametrize(
    ("names", "every", "text"),
    [
        ("a", ("a",), "a"),
        (["a", "b"], ("a", "b"), "a | b"),
        (["a", "b", "c"], ("a", "b", "c"), "a | b | c"),
        (["a", "b", "c", "d"], ("a", "b", "c", "d"), "a | b | ... | d"),
    ],
)
def test_names_are_listed_and_shown(names, every, text):
    assert (names_of(names), shown(names)) == (every, text)


def test_a_list_is_shown_as_it_is_read(load: Load):
    loaded = load(LISTS)
    data = loaded.config.data
    assert (data.train, data.columns.left) == (["a.csv", "b.csv"], ["name", "town"])
    assert load(show(loaded, with_origin=False)).config == loaded.config
    assert as_record(loaded.config)["data"]["train"] == ["a.csv", "b.csv"]


def test_a_list_of_one_name_is_the_name(load: Load):
    one = load(LISTS.replace(", b.csv", "").replace("[name, town]", "[name]")).config.data
    assert (one.train, one.columns.left) == ("a.csv", "name")


def test_a_list_may_be_set_by_argument_and_variable(load: Load):
    loaded = load(LISTS, sets=["data.train=[c.csv, d.csv]"])
    assert loaded.config.data.train == ["c.csv", "d.csv"]
    loaded = load(LISTS, env={"SIAMESE_DATA__COLUMNS__LEFT": "[x, y]"})
    assert loaded.config.data.columns.left == ["x", "y"]


def test_a_resume_compares_lists_as_a_whole(load: Load):
    stored, more = (load(text).config for text in (LISTS, LISTS.replace("b.csv", "c.csv")))
    assert binding_diff(as_record(stored), as_record(more)) == [
        "data.train: this run has [a.csv, b.csv], the config says [a.csv, c.csv]"
    ]


@pytest.mark.parametrize("key", ["data.train", "data.columns.item"])
def test_both_forms_are_explained(key):
    assert "allowed   text that is not empty, or a list of such\n" in explain(key)


def test_ids_are_in_one_column(load: Load):
    with pytest.raises(ConfigError, match=r"is one column \(got name \| town\): name it"):
        load(LISTS + "  items: items.csv\n")
