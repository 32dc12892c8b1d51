"""Guessing what was meant."""

import pytest

from job.config.suggest import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("epoch", ["epochs", "seed"], "epochs"),
        ("INFO", ["info"], "info"),
        ("info", ["INFO"], "INFO"),
        ("zzz", ["epochs", "seed"], None),
        ("", ["epochs"], None),
        ("a", [], None),
        ("x" * 100_000, ["x" * 100], "x" * 100),
    ],
)
def test_the_nearest_known_word(word: str, known: list[str], near: str | None) -> None:
    assert nearest(word, known) == near


def test_it_is_asked_as_a_question() -> None:
    assert did_you_mean("epoch", ["epochs"]) == " Did you mean 'epochs'?"
    assert did_you_mean("zzz", ["epochs"]) == ""
