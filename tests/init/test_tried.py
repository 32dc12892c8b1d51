"""Which candidate is kept, and what a person reads about it."""

from pathlib import Path

import pytest

from job.errors import ConfigError
from job.init.attempt import (
    LEAST_SECONDS,
    Result,
    attempt,
    best_of,
    choose_candidates,
    format_results,
    require_time,
)
from job.init.candidates import Candidate
from job.init.rules import as_mapping, choose
from job.init.tried import try_candidates
from tests.init.test_rules import PAIRS

FIRST, SECOND, THIRD = (Candidate(name, {}) for name in ("first", "second", "third"))


def result(candidate: Candidate, roc_auc: float | None) -> Result:
    return Result(candidate, roc_auc, 100, 12.0, "" if roc_auc else "it broke")


class Clock:
    """Each candidate takes what it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_time_that_a_candidate_leaves_is_shared_by_the_others():
    clock, shares = Clock(), []

    def train(candidate, seconds):
        shares.append(seconds)
        clock.time += 30.0 if candidate is FIRST else seconds
        return result(candidate, 0.9)

    list(
        attempt(
            [FIRST, SECOND, THIRD],
            train=train,
            seconds=300.0,
            report=lambda _: None,
            now=clock,
        )
    )
    assert shares == [100.0, 135.0, 135.0]
    assert clock.time == 300.0


@pytest.mark.parametrize(
    ("values", "best"),
    [((0.9, 0.8, 0.95), 2), ((0.9, 0.9, 0.8), 0), ((None, 0.6, 0.7), 2)],
)
def test_the_largest_value_wins_and_of_equal_ones_the_first(values, best):
    results = [result(one, v) for one, v in zip((FIRST, SECOND, THIRD), values, strict=True)]
    assert best_of(results) is results[best]


def test_without_a_measured_candidate_the_first_error_is_shown():
    with pytest.raises(ConfigError, match=r"no candidate was measured.*it broke"):
        best_of([result(FIRST, None)])


def test_time_decides_how_many_candidates_there_are():
    assert choose_candidates([FIRST, SECOND, THIRD], seconds=2 * LEAST_SECONDS) == [
        FIRST,
        SECOND,
    ]
    require_time(2 * LEAST_SECONDS)
    for seconds in (2 * LEAST_SECONDS - 1, 0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="too few to compare two"):
            require_time(seconds)


def test_the_table_shows_the_best_first_and_marks_the_chosen_one():
    results = [result(FIRST, 0.8), result(SECOND, None), result(THIRD, 0.9)]
    lines = format_results(results, chosen=results[2]).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["*", "first"]
    assert lines[3].split() == ["second", "-", "100", "12"]


def tried(tmp_path: Path, outcomes: list):
    """Tries as many candidates as there are outcomes; a type of exception is raised."""
    left = list(outcomes)

    def train(candidate, seconds):
        outcome = left.pop(0)
        if isinstance(outcome, type):
            raise outcome
        return result(candidate, outcome)

    return try_candidates(
        choose(PAIRS),
        PAIRS,
        folder=tmp_path,
        scratch=tmp_path,
        seconds=LEAST_SECONDS * len(outcomes),
        report=lambda line: None,
        train=train,
    )


def test_the_choices_of_the_best_candidate_are_written_with_their_reason(tmp_path):
    found = tried(tmp_path, [0.8, 0.9, 0.7])
    loss = next(choice for choice in found.choices if choice.key == "training.loss")
    assert loss.value["kind"] == "multiple_negatives"
    assert loss.why == "tried: val_roc_auc 0.9000, the next best candidate 0.8000"
    assert "compared in the batch" in "\n".join(found.lines)


def test_ctrl_c_keeps_the_best_so_far(tmp_path):
    found = tried(tmp_path, [0.8, KeyboardInterrupt])
    assert as_mapping(found.choices) == as_mapping(choose(PAIRS))
    assert "stopped by Ctrl-C" in found.lines[0]


def test_ctrl_c_before_anything_was_measured_keeps_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tried(tmp_path, [None, KeyboardInterrupt])
