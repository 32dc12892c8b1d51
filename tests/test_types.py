"""Positions only ever move forward, and never in place."""

import dataclasses

import pytest

from job.types import SPLITS, Position


def test_a_run_starts_at_zero():
    assert Position() == Position(epoch=0, step_in_epoch=0, global_step=0)


def test_steps_count_in_the_epoch_and_in_the_run():
    position = Position(epoch=2, step_in_epoch=3, global_step=23)
    assert position.advanced(4) == Position(epoch=2, step_in_epoch=7, global_step=27)


def test_the_next_epoch_starts_at_its_first_step_and_keeps_the_global_step():
    position = Position(epoch=2, step_in_epoch=10, global_step=30)
    assert position.next_epoch() == Position(epoch=3, step_in_epoch=0, global_step=30)


def test_a_position_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Position().epoch = 1


def test_splits_are_named_in_the_order_they_are_used():
    assert SPLITS == ("train", "validation", "test")
