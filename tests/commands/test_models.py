"""What `score` and `match` refuse alike, without a model."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from job.commands.models import require_another_file, with_bad_fraction
from job.config.data import Data
from job.errors import ConfigError

SECTION = TypeAdapter(Data).validate_python({"kind": "text", "train": "a.csv"})


@pytest.mark.parametrize(
    ("place", "out"),
    [
        ("a.csv", "a.csv"),
        ("a.csv", "./b/../a.csv"),
        ("link.csv", "a.csv"),
        ("gs://a/b", "gs://a/b"),
    ],
)
def test_a_file_that_is_read_is_not_written(tmp_path, monkeypatch, place, out):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").touch()
    Path("link.csv").symlink_to("a.csv")
    with pytest.raises(ConfigError, match="is the file of PAIRS, which is only read"):
        require_another_file(place, out, name="PAIRS")


@pytest.mark.parametrize(("place", "out"), [("a.csv", "b.csv"), ("gs://a/b.csv", "b.csv")])
def test_another_file_is_written(place, out):
    require_another_file(place, out, name="PAIRS")


def test_the_limit_of_bad_rows_is_that_of_the_model_unless_it_is_given():
    assert with_bad_fraction(SECTION, None) == SECTION
    assert with_bad_fraction(SECTION, 0.5).max_bad_fraction == 0.5


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_limit_that_is_no_share_is_refused(share):
    with pytest.raises(ConfigError, match="--max-bad-fraction: must be from 0 to 1, got"):
        with_bad_fraction(SECTION, share)
