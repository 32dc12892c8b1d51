"""A run that is killed at random moments of every phase ends like one that nobody disturbed.

`make test` kills a few runs: test_processes.py at three moments, tests/run/verify_resume twice.

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

# From SIGTERM to the exit; spot nodes grant 15 s.
ANSWER_SECONDS = 12.0


def words(folder: Path, target: str | None = None, **sections: dict[str, Any]) -> Path:
    """An LSTM with dropout on words, with or without a custom callback."""
    tiny.make_project(folder)
    shutil.copy(CALLBACKS, folder / "steering.py")
    custom = [{"target": f"steering:{target}"}] if target else []

    def change(config: dict[str, Any]) -> None:
        config["training"]["steps_per_call"] = 2
        config.update(sections, callbacks={"custom": custom})

    return tiny.save_config(folder, change)


def images(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A CNN with dropout on images, after `change` was applied to its configuration."""
    path = tiny_kinds.make_project(folder, "pictures")
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def with_drawn_pairs(config: dict[str, Any], *, each: int = 20) -> None:
    """So many matching pairs an epoch and as many others, instead of batches of classes."""
    del config["training"]["loss"]
    config["data"]["sampling"] = {
        "kind": "pairs",
        "positives_per_epoch": each,
        "negatives_per_epoch": each,
        "evaluation_pairs": 2 * each,
    }


def in_bfloat16(config: dict[str, Any]) -> None:
    config["model"]["precision"] = "mixed_bfloat16"


def with_xception(config: dict[str, Any]) -> None:
    """Two epochs of two steps, with a save after each."""
    with_drawn_pairs(config, each=4)
    config["data"]["size"] = 71
    del config["training"]["per_replica_micro_batch_size"]
    config["model"]["encoder"] = {"kind": "xception"}
    config["training"] |= {"epochs": 2, "optimizer": {"kind": "sgd", "learning_rate": 0.01}}
    config["checkpoint"]["every_steps"] = 1


SCENARIOS: dict[str, Callable[[Path], Path]] = {
    "LSTM with dropout": words,
    "LSTM and LearningRateScheduler": lambda folder: words(folder, "Decay"),
    "LSTM and warm-up per batch": lambda folder: words(folder, "WarmUp"),
    "LSTM and stateful counter": lambda folder: words(folder, "Counter"),
    "CNN": lambda folder: images(folder, with_drawn_pairs),
    "CNN with InfoNCE": lambda folder: images(folder, lambda config: None),
    "CNN in mixed_bfloat16": lambda folder: images(folder, in_bfloat16),
    # Ten minutes: each process compiles it.
    "Xception": lambda folder: images(folder, with_xception),
}


def survive(config: Path, *, title: str, kills: Sequence[Kill]) -> set[str]:
    """Trains and kills; returns the phases in which a signal arrived."""
    storm = Storm(config, rng=random.Random(title), answer_seconds=ANSWER_SECONDS)
    report = storm.rage(kills)
    sys.stdout.write(report.table(title))
    assert report.faults == []
    assert report.warnings == {}
    assert report.hits.total() == len(kills)
    return {phase for _, phase in report.hits}


@pytest.mark.prove
def test_a_run_stopped_and_killed_six_times_ends_like_an_undisturbed_one(tmp_path):
    phases = ("training", "saving", "validating")
    kills = [Kill(one, phase) for phase in phases for one in SIGNALS]
    config = words(tmp_path, "Counter", export={"enabled": False})
    survive(config, title="LSTM and stateful counter", kills=kills)


@pytest.mark.prove
@pytest.mark.parametrize("title", SCENARIOS)
def test_a_run_killed_in_every_phase_ends_like_an_undisturbed_one(tmp_path, title):
    kills = planned(30, rng=random.Random(title))
    hit = survive(SCENARIOS[title](tmp_path), title=title, kills=kills)
    assert hit >= set(PHASES)
