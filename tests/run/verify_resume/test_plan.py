import random

import pytest

from job.run.verify_resume.plan import HOWS, Size, num_kills_that_fit, plan_kills


def test_each_part_of_the_run_has_one_kill_and_all_ways_take_turns():
    for seed in range(20):
        kills = plan_kills(6, total_steps=70, seconds_per_step=0.1, rng=random.Random(seed))
        assert [kill.after_step // 10 for kill in kills] == [0, 1, 2, 3, 4, 5]
        assert {kill.how for kill in kills[:3]} == {kill.how for kill in kills[3:]} == set(HOWS)
        assert all(0.0 <= kill.delay_seconds <= 1.0 for kill in kills)


@pytest.mark.parametrize(
    ("left", "startup", "training", "kills"),
    [
        (170.0, 8.0, 5.0, 9),  # more would prove little more
        (60.0, 10.0, 10.0, 3),
        (20.0, 10.0, 10.0, 0),
    ],
)
def test_as_many_kills_as_fit(left, startup, training, kills):
    found = num_kills_that_fit(left, startup_seconds=startup, training_seconds=training)
    assert found == kills


def test_a_run_is_shortened_to_two_steps_an_epoch_at_least():
    assert Size(3, 40, 1000).shortened(0.25) == Size(3, 10, 250)
    assert Size(3, 40, 1000).shortened(0.001) == Size(3, 2, 32)
