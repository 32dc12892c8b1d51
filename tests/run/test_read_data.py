"""Targets and monitors that validation cannot support end before training."""

import logging

import numpy as np
import pytest

from job.config.loader.load_config import load_config
from job.errors import ConfigError
from job.run.read_data import require_support
from tests.inspection.datasets import text_dataset

ROWS = [(f"w{n}", f"v{n}", n % 2) for n in range(100)]
DATASET = text_dataset({"train": ROWS, "validation": ROWS, "test": ROWS})


def config(tmp_path, *sets):
    path = tmp_path / "c.yaml"
    path.write_text("run: {name: a}\ndata: {train: a.csv}\n", encoding="utf-8")
    return load_config(path, env={}, sets=sets).config


def test_an_unsupported_target_names_what_is_found_and_needed(tmp_path):
    target = "evaluation.threshold=false_accepts <= 0.001"
    with pytest.raises(
        ConfigError, match=r"2,995 non-matches .* there are 50 .*unsupported: warn"
    ):
        require_support(config(tmp_path, target), DATASET)


def test_with_warn_it_is_logged_and_training_goes_on(tmp_path, caplog):
    target = "evaluation.threshold=false_accepts <= 0.001"
    with caplog.at_level(logging.WARNING):
        require_support(config(tmp_path, target, "evaluation.unsupported=warn"), DATASET)
    [record] = caplog.records
    assert record.message == "threshold target unsupported"
    assert "2,995" in record.reason


@pytest.mark.parametrize(
    ("monitor", "pairs", "is_enough"),
    [
        ("val_tar_at_far_1e-1", "null", True),
        ("val_tar_at_far_1e-2", "null", False),
        # A fifth of the pairs, so ten that do not match.
        ("val_tar_at_far_1e-1", "20", False),
        ("val_raw_brier", "20", True),
    ],
)
def test_a_monitor_needs_enough_pairs(tmp_path, monitor, pairs, is_enough):
    sets = f"checkpoint.monitor={monitor}", f"evaluation.validation_pairs={pairs}"
    if is_enough:
        require_support(config(tmp_path, *sets), DATASET)
        return
    with pytest.raises(ConfigError, match=f"checkpoint.monitor: {monitor} needs"):
        require_support(config(tmp_path, *sets), DATASET)


def test_goals_without_a_target_need_nothing(tmp_path):
    few = text_dataset({split: ROWS[:4] for split in ("train", "validation", "test")})
    assert np.unique(few.pairs["validation"].label).tolist() == [0, 1]
    require_support(config(tmp_path, "evaluation.threshold=f1"), few)
