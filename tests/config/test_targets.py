"""What `evaluation.threshold` may say, and what is answered to the rest."""

import re

import pytest

from job.config.schema import json_schema
from job.config.targets import Cost, Criterion, Target, parse_goal
from tests.config.conftest import Complaints, Load

READ = {
    "accuracy": Criterion("accuracy"),
    " f1 ": Criterion("f1"),
    "eer": Criterion("eer"),
    "precision >= 0.99": Target("precision", 0.99),
    "recall>=.9": Target("recall", 0.9),
    "false_accepts <= 1e-3": Target("false_accepts", 0.001),
    "cost(false_accept=5, false_reject=1)": Cost(5.0, 1.0),
    "cost( false_accept = 0.5 ,false_reject=2e1 )": Cost(0.5, 20.0),
}
REFUSED = {
    "precision > 0.9": "write it as `precision >= 0.9`",
    "precision >= 99%": "write it as `precision >= 0.99`, a share between 0 and 1",
    "false_accepts >= 0.1": "write it as `false_accepts <= 0.1`",
    "precision >= 1": "below 1, because no number of pairs proves an error rate of 0",
    "recall >= 0": "above 0 and below 1",
    "false_accepts <= 0": "write `false_accepts <= 0.001`",
    "precison >= 0.9": "there is no target 'precison'.* Did you mean 'precision'",
    "cost(false_accept=0, false_reject=1)": "both costs must be above 0",
    "acuracy": "Did you mean 'accuracy'",
    "precision >= 0.9 and recall >= 0.9": "must be accuracy, f1, eer, `precision >= 0.99`",
    "": "must be accuracy, f1",
}


@pytest.mark.parametrize(("text", "goal"), READ.items())
def test_a_goal_is_read_and_written_as_the_same(text: str, goal: object) -> None:
    assert parse_goal(text) == goal
    assert parse_goal(str(goal)) == goal


def test_no_digit_of_a_target_is_lost() -> None:
    assert str(parse_goal("precision >= 0.99999999")) == "precision >= 0.99999999"


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_anything_else_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_goal(text)


def test_the_complaint_names_the_key(conflicts: Complaints) -> None:
    [complaint] = conflicts(
        "run: {name: a}\ndata: {train: a.csv}\nevaluation: {threshold: precision > 0.9}\n"
    )
    assert "evaluation.threshold: write it as `precision >= 0.9`" in complaint


def test_a_file_may_say_a_target_without_quotes(load: Load) -> None:
    config = load("evaluation:\n  threshold: false_accepts <= 1e-3\n").config
    assert config.evaluation.threshold == "false_accepts <= 0.001"
    assert config.evaluation.goal == Target("false_accepts", 0.001)


def test_the_schema_allows_what_is_read_and_refuses_another_form() -> None:
    evaluation = json_schema()["properties"]["evaluation"]["properties"]
    pattern = re.compile(evaluation["threshold"]["pattern"])
    assert all(pattern.search(text) for text in READ)
    assert not any(
        pattern.search(text) for text in ("precision > 0.9", "acuracy", "precison >= 0.9", "")
    )
