"""Data that `make data` makes are never missed in silence in CI."""

import pytest

from tests.prepared import require_prepared


@pytest.mark.parametrize(
    ("variable", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_set_skips_a_test_and_fails_it_in_ci(
    tmp_path, monkeypatch, variable, outcome
):
    monkeypatch.setenv("CI", variable)
    with pytest.raises(outcome, match="`make data` makes it"):
        require_prepared(tmp_path / "none.csv.gz")


def test_a_set_that_is_there_is_used(tmp_path):
    require_prepared(tmp_path)
