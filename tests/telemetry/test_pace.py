import pytest

from job.telemetry.progress_reporter import Throughput, remaining_seconds


def test_nothing_is_known_before_the_first_call():
    pace = Throughput()
    assert (pace.seconds_per_step, pace.examples_per_second) == (None, None)


def test_speed_is_the_work_of_the_window_over_its_time():
    pace = Throughput()
    pace.add(16, examples=4096, seconds=1.5)
    pace.add(4, examples=1024, seconds=0.5)
    assert pace.seconds_per_step == pytest.approx(0.1)  # 2 s / 20 steps
    assert pace.examples_per_second == pytest.approx(2560.0)  # 5120 pairs / 2 s


def test_calls_before_the_last_thirty_seconds_are_forgotten():
    pace = Throughput()
    for _ in range(10):
        pace.add(1, examples=1, seconds=10.0)
    for _ in range(30):
        pace.add(1, examples=1, seconds=1.0)
    assert pace.seconds_per_step == pytest.approx(1.0)


def test_one_call_longer_than_the_window_is_enough():
    pace = Throughput()
    pace.add(1, examples=1, seconds=1.0)
    pace.add(2, examples=2, seconds=100.0)
    assert pace.seconds_per_step == pytest.approx(50.0)


def test_a_call_that_took_no_time_has_no_rate():
    pace = Throughput()
    pace.add(1, examples=1, seconds=0.0)
    assert (pace.seconds_per_step, pace.examples_per_second) == (0.0, None)


@pytest.mark.parametrize(
    ("per_step", "steps_left", "pauses_left", "per_pause", "expected"),
    [
        (None, 100, 2, 5.0, None),
        (0.1, 100, 0, 5.0, 10.0),
        (0.1, 100, 2, 5.0, 20.0),
        (0.1, -5, 1, 0.0, 0.0),
        (0.1, 0, 1, 5.0, 5.0),
    ],
)
def test_what_remains_is_steps_and_the_ends_of_epochs(
    per_step, steps_left, pauses_left, per_pause, expected
):
    remaining = remaining_seconds(
        per_step, steps_left=steps_left, pauses_left=pauses_left, seconds_per_pause=per_pause
    )
    assert remaining == (None if expected is None else pytest.approx(expected))
