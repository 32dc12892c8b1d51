import pytest

from job.run.launcher.outcome import End, exit_code, must_others_end


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([(1, 0), (0, 0)], 0),
        ([(0, 0), (1, 76)], 0),  # the model is complete
        ([(0, 2), (1, 2)], 2),
        ([(1, 137), (0, 76)], 137),
        ([(1, 137), (0, 77)], 137),
        ([(1, 137), (2, 76), (0, 143, True)], 137),
        ([(2, 76), (1, 3), (0, 76)], 3),
        ([(1, 3), (0, 75, True)], 3),
        ([(1, 3), (0, 137, True)], 3),
        ([(1, 3), (0, 4, True)], 4),
        ([(1, 75), (0, 75)], 75),  # SIGTERM to all
        ([(1, 143), (0, 143)], 143),
        ([(1, 130), (0, 130)], 130),
        ([(1, 76), (0, 77)], 77),  # nobody else is to blame
        ([(1, 77), (0, 76)], 76),
        ([(0, 137), (1, 76)], 137),
    ],
)
def test_the_exit_code_is_that_of_the_cause(ends, code):
    assert exit_code([End(*end) for end in ends]) == code


@pytest.mark.parametrize(
    ("ends", "must"),
    [
        ([], False),
        ([(1, 0)], False),
        ([(1, 0), (2, 0)], False),
        ([(0, 0)], True),
        ([(1, 76)], True),
    ],
)
def test_workers_go_on_until_the_chief_has_ended_or_one_has_failed(ends, must):
    assert must_others_end([End(*end) for end in ends]) is must
