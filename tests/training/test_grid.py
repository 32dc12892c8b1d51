from types import SimpleNamespace

import pytest

from job.config.root import Config
from job.data.sampling.length_groups import GroupedPairs
from job.run.prepare_training import build_training
from job.training.grid import HookGrid, grid_steps, steps_of_call


@pytest.mark.parametrize(
    ("step", "begin", "end", "is_edge"),
    [
        (0, 0, 4, True),
        (1, 0, 4, False),
        (3, 0, 4, False),
        (4, 4, 8, True),
        (8, 8, 10, True),  # the last block is shorter
        (9, 8, 10, False),
    ],
)
def test_blocks_begin_anew_in_each_epoch_and_end_with_it(step, begin, end, is_edge):
    grid = HookGrid(block_steps=4, steps_in_epoch=10)
    assert (grid.begin(step), grid.end(step), grid.is_edge(step)) == (begin, end, is_edge)


def test_no_block_is_under_way_at_an_epoch_s_end():
    assert HookGrid(block_steps=4, steps_in_epoch=10).is_edge(10)
    assert HookGrid(block_steps=16, steps_in_epoch=10).end(3) == 10


@pytest.mark.parametrize(
    ("megabytes", "steps"), [(0, 16), (1, 16), (32, 4), (100, 1), (1000, 1)]
)
def test_a_block_holds_no_more_batches_than_memory_should(megabytes, steps):
    assert grid_steps(16, batch_bytes=megabytes << 20) == steps


@pytest.mark.parametrize(
    ("steps_left", "until_save", "seconds_per_step", "steps"),
    [
        (16, 100, None, 1),  # speed unknown: return soon
        (16, 100, 0.01, 16),  # up to the block's end
        (16, 100, 0.5, 4),  # two seconds of half-second steps
        (16, 100, 60.0, 1),  # never none
        (16, 3, 0.01, 3),  # up to the save
        (16, 100, 0.0, 16),  # a clock too coarse to see a step
    ],
)
def test_a_call_stops_at_whatever_comes_first(steps_left, until_save, seconds_per_step, steps):
    assert steps == steps_of_call(
        steps_left=steps_left, steps_until_save=until_save, seconds_per_step=seconds_per_step
    )


@pytest.mark.parametrize(("until_save", "until_validation", "steps"), [(9, 5, 5), (3, 5, 3)])
def test_a_call_also_stops_at_a_validation(until_save, until_validation, steps):
    assert steps == steps_of_call(
        steps_left=16,
        steps_until_save=until_save,
        steps_until_validation=until_validation,
        seconds_per_step=0.0,
    )


@pytest.mark.parametrize(
    ("custom", "stored", "steps"), [(True, 4, 4), (True, None, 8), (False, 4, 8)]
)
def test_a_resumed_run_keeps_its_grid_where_custom_callbacks_can_notice_it(
    toy, custom, stored, steps
):
    callbacks = {"custom": [{"target": "mine:Callback"}] if custom else []}
    config = Config.model_validate(
        {
            "run": {"name": "toy"},
            "data": {"kind": "text", "train": "a", "validation": "b", "test": "c"},
            "training": {"epochs": 1, "global_batch_size": 16, "steps_per_call": 8},
            "callbacks": callbacks,
        }
    )
    run = toy()
    components = SimpleNamespace(
        siamese=run.siamese,
        strategy=run.step._strategy,
        pairs=GroupedPairs(run.data.pairs, window=1, merged=True, padding=0.0),
        feed=run.data.feed,
        devices=["CPU:0"],
        device_kind="CPU",
    )
    dataset = SimpleNamespace(items=run.data.items)
    training = build_training(config, components, dataset, stored_grid_steps=stored)
    assert training.schedule.grid_steps == steps
