"""Exit codes are public: this table changes only together with the docs and the chart."""

import inspect

import pytest

from job import errors
from job.errors import EXIT_CODES, CallbackError, ExitCode, JobError, StopError

FROZEN = {
    0: "none",
    1: "Count",
    2: "FailJob",
    3: "FailJob",
    4: "FailJob",
    5: "FailJob",
    6: "FailJob",
    69: "Ignore",
    74: "Count",
    75: "Ignore",
    76: "Ignore",
    77: "Count",
    78: "Ignore",
    130: "none",
    143: "Ignore",
}

ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == errors.__name__
]


def test_exit_codes_and_what_a_job_does_with_them_are_frozen():
    assert {int(row.code): row.pod_failure_action for row in EXIT_CODES} == FROZEN


def test_the_table_has_every_code_once_in_rising_order_with_a_meaning():
    assert [row.code for row in EXIT_CODES] == sorted(ExitCode)
    assert all(row.meaning for row in EXIT_CODES)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_a_job_error_with_a_code_of_the_table(error):
    assert issubclass(error, JobError)
    assert error.exit_code in ExitCode
    assert error.exit_code != ExitCode.FINISHED


def test_only_base_classes_and_a_callback_s_error_are_unexpected():
    unexpected = [error for error in ERRORS if error.exit_code == ExitCode.UNEXPECTED]
    assert set(unexpected) == {JobError, StopError, CallbackError}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError, 2),
        (errors.DataError, 3),
        (errors.CheckpointError, 3),
        (errors.DivergedError, 4),
        (errors.NoProgressError, 5),
        (errors.PermissionDeniedError, 6),
        (errors.StorageOutageError, 69),
        (errors.DiskFullError, 74),
        (errors.LockHeldError, 74),
        (errors.PreemptedError, 75),
        (errors.StalledError, 77),
        (errors.FencedError, 78),
        (errors.InterruptedByUserError, 130),
    ],
)
def test_each_cause_ends_with_its_own_code(error, code):
    assert error("why").exit_code == code
