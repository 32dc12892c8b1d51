"""A run that is killed at random moments of every phase ends like one that nobody disturbed.

The proofs print a table each: `pytest -s -m prove tests/e2e/test_storm.py`.
"""

import random
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import tiny, tiny_kinds
from tests.e2e.storm import PHASES, SIGNALS, Kill, Storm, planned

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

CALLBACKS = Path(__file__).with_name("steering_callbacks.py")


def words(folder: Path, target: str | None = None) -> Path:
    """An LSTM with dropout on words, with or without a custom callback."""
    tiny.make_project(folder)
    shutil.copy(CALLBACKS, folder / "steering.py")
    custom = [{"target": f"steering:{target}"}] if target else []

    def change(config: dict[str, Any]) -> None:
        config["callbacks"] = {"custom": custom}
        config["training"]["steps_per_call"] = 2

    return tiny.save_config(folder, change)


def images(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A CNN with dropout on images, after `change` was applied to its configuration."""
    path = tiny_kinds.make_project(folder, "pictures")
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def without_in_batch_loss(config: dict[str, Any]) -> None:
    del config["training"]["loss"]


def in_bfloat16(config: dict[str, Any]) -> None:
    config["model"]["precision"] = "mixed_bfloat16"


def with_xception(config: dict[str, Any]) -> None:
    """Two epochs of two steps, with a save after each."""
    without_in_batch_loss(config)
    config["data"]["size"] = 71
    config["data"]["sampling"] |= {"pairs_per_epoch": 8, "evaluation_pairs": 8}
    config["model"]["encoder"] = {"kind": "xception", "embedding_size": 8}
    config["training"] |= {"epochs": 2, "optimizer": {"kind": "sgd", "learning_rate": 0.01}}
    config["checkpoint"]["every_steps"] = 1


XCEPTION = "Xception, with fewer kills: each process compiles it"
SCENARIOS: dict[str, Callable[[Path], Path]] = {
    "LSTM with dropout": words,
    "LSTM and LearningRateScheduler": lambda folder: words(folder, "Decay"),
    "LSTM and warm-up per batch": lambda folder: words(folder, "WarmUp"),
    "LSTM and stateful counter": lambda folder: words(folder, "Counter"),
    "CNN": lambda folder: images(folder, without_in_batch_loss),
    "CNN with InfoNCE": lambda folder: images(folder, lambda config: None),
    "CNN in mixed_bfloat16": lambda folder: images(folder, in_bfloat16),
    XCEPTION: lambda folder: images(folder, with_xception),
}


def survive(folder: Path, title: str, *, kills: Sequence[Kill]) -> set[str]:
    """Trains and kills a scenario; returns the phases in which a signal arrived."""
    report = Storm(SCENARIOS[title](folder), rng=random.Random(title)).rage(kills)
    sys.stdout.write(report.table(title))
    assert report.faults == []
    assert report.warnings == {}
    assert report.hits.total() == len(kills)
    return {phase for _, phase in report.hits}


def test_a_run_stopped_and_killed_six_times_ends_like_an_undisturbed_one(tmp_path):
    phases = ("training", "saving", "validating")
    kills = [Kill(one, phase) for phase in phases for one in SIGNALS]
    survive(tmp_path, "LSTM and stateful counter", kills=kills)


@pytest.mark.prove
@pytest.mark.parametrize("title", SCENARIOS)
def test_a_run_killed_in_every_phase_ends_like_an_undisturbed_one(tmp_path, title):
    each = len(PHASES) if title == XCEPTION else 30
    kills = planned(each, rng=random.Random(title))
    assert survive(tmp_path, title, kills=kills) >= set(PHASES)
