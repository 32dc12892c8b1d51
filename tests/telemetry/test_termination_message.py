import json

import pytest

from job.errors import ExitCode
from job.telemetry.termination_message import (
    LIMIT_BYTES,
    termination_message,
    write_termination_message,
)


def test_the_reason_is_one_line_and_comes_first():
    text = termination_message(
        ExitCode.DATA, "data.train: no such file.\n  Give a path.", facts={"run": "typos"}
    )
    assert text.startswith(b'{"message": "data.train: no such file. Give a path."')
    assert json.loads(text) == {
        "message": "data.train: no such file. Give a path.",
        "exit_code": 3,
        "cause": "data",
        "run": "typos",
    }


def test_the_lines_of_a_list_do_not_run_into_each_other():
    message = (
        "the run is another:\n  training.seed: 1, not 2\n\n  data.train: b\nUndo the change."
    )
    assert json.loads(termination_message(ExitCode.CONFIG, message))["message"] == (
        "the run is another: training.seed: 1, not 2; data.train: b; Undo the change."
    )


@pytest.mark.parametrize("character", ["a", '"', "\u00e9", "\U0001f600", "\x01", "\ud800"])
def test_a_long_message_loses_its_end_and_stays_json(character):
    text = termination_message(ExitCode.CONFIG, character * 5000, facts={"run": "typos"})
    assert LIMIT_BYTES - 16 < len(text) <= LIMIT_BYTES
    content = json.loads(text)
    assert content["message"].endswith("...")
    assert content["run"] == "typos"


def test_a_mounted_file_takes_what_is_said_last(tmp_path):
    path = tmp_path / "termination-log"
    path.write_text("something longer that an earlier process of the container had said" * 9)
    write_termination_message(ExitCode.PREEMPTED, "first", path=path)
    write_termination_message(
        ExitCode.FINISHED, "second", facts={"test_roc_auc": 0.9}, path=path
    )
    assert json.loads(path.read_text()) == {
        "message": "second",
        "exit_code": 0,
        "cause": "finished",
        "test_roc_auc": 0.9,
    }


def test_nothing_is_made_and_nothing_fails_where_nobody_asked(tmp_path):
    write_termination_message(ExitCode.FINISHED, "done", path=tmp_path / "termination-log")
    assert list(tmp_path.iterdir()) == []
    write_termination_message(ExitCode.FINISHED, "done", path=tmp_path)
    write_termination_message(ExitCode.FINISHED, "done", path=tmp_path / "no" / "folder")
