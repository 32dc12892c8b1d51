"""What a resume may change."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from job.config.keys import all_keys
from job.config.resume import (
    as_record,
    binding_diff,
    changed_settings,
    is_mutable,
    result_settings,
)
from tests.config.conftest import Load

MUTABLE = {
    "run.allow_emulator",
    "run.root",
    "run.takeover",
    "data.packed",
    "data.mirror",
    "model.encoder.gradient_checkpointing",
    "training.epochs",
    "training.input_threads",
    "training.items_on_device",
    "training.per_replica_micro_batch_size",
    "training.stall_seconds",
    "callbacks.activations",
    "callbacks.activations.keep_epochs",
    "callbacks.activations.metric_layers",
    "callbacks.event_files",
    "callbacks.reduce_learning_rate.patience_epochs",
    "callbacks.early_stopping.patience_epochs",
    "distribution.arrival_seconds",
    "distribution.devices",
    "distribution.frozen_seconds",
    "distribution.restarts",
    "distribution.silence_seconds",
    "distribution.supervise",
    "evaluation.calibration",
    "evaluation.confidence",
    "evaluation.match_share",
    "evaluation.threshold",
    "evaluation.every_steps",
    "evaluation.unsupported",
    "evaluation.weights",
    "export",
    "export.enabled",
    "export.num_golden_pairs",
    "export.onnx",
    "export.quantize",
    "checkpoint",
    "checkpoint.every_seconds",
    "checkpoint.every_steps",
    "checkpoint.keep_last",
    "checkpoint.monitor",
    "checkpoint.outage_budget_seconds",
    "metrics",
    "metrics.enabled",
    "metrics.host",
    "metrics.port",
    "metrics.linger_seconds",
    "logging",
    "logging.format",
    "logging.level",
    "logging.every_seconds",
}


def test_only_the_marked_keys_are_mutable() -> None:
    assert {key for key in all_keys() if is_mutable(key)} == MUTABLE


@pytest.mark.parametrize("key", ["", "nothing", "training.nothing", "run.root.x", "logging.x"])
def test_a_key_that_does_not_exist_is_binding(key: str) -> None:
    assert not is_mutable(key)


def test_the_record_is_plain_json_of_every_key(load: Load) -> None:
    record = as_record(
        load("callbacks: {custom: [{target: 'a:B', arguments: {x: [1]}}]}").config
    )
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["callbacks"] == {
        "terminate_on_nan": True,
        "reduce_learning_rate": None,
        "early_stopping": None,
        "activations": None,
        "event_files": False,
        "custom": [{"target": "a:B", "arguments": {"x": [1]}}],
    }


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("", "", []),
        ("", "training: {epochs: 99}\nlogging: {level: DEBUG}\ncheckpoint: {keep_last: 1}", []),
        (
            "",
            "training: {optimizer: {learning_rate: 0.01}}",
            ["training.optimizer.learning_rate: this run has 0.001, the config says 0.01"],
        ),
        (
            "",
            "training: {optimizer: {kind: sgd}}",
            [
                "training.optimizer.kind: this run has 'adam', the config says 'sgd'",
                "training.optimizer.learning_rate: this run has 0.001, the config says 0.01",
            ],
        ),
        (
            "callbacks: {early_stopping: {patience_epochs: 3}}",
            "callbacks: {early_stopping: {patience_epochs: 4}}",
            [],
        ),
        (
            "callbacks: {early_stopping: {min_delta: 0.1}}",
            "",
            [
                "callbacks.early_stopping: this run has {monitor: val_loss, patience_epochs: "
                "5, min_delta: 0.1}, the config says null"
            ],
        ),
        (
            "callbacks: {custom: [{target: 'a:B', arguments: {x: 1}}]}",
            "callbacks: {custom: [{target: 'a:B', arguments: {x: true}}]}",
            ["callbacks.custom.0.arguments.x: this run has 1, the config says true"],
        ),
        (
            "training: {steps_per_call: 4}",
            "training: {steps_per_call: 8}",
            [],
        ),
        (
            "training: {steps_per_call: 4}\ncallbacks: {custom: [{target: 'a:B'}]}",
            "training: {steps_per_call: 8}\ncallbacks: {custom: [{target: 'a:B'}]}",
            ["training.steps_per_call: this run has 4, the config says 8"],
        ),
        (
            "training: {schedule: {kind: linear}}",
            "training: {schedule: {kind: linear}, epochs: 20}",
            [
                "training.epochs: this run has null, over which its learning rate decays, the "
                "config says 20; only with training.schedule.decay_steps may it change"
            ],
        ),
        *(
            (
                f"training: {{schedule: {schedule}}}",
                f"training: {{schedule: {schedule}, epochs: 20}}",
                [],
            )
            for schedule in ("{warmup_steps: 5}", "{kind: cosine, decay_steps: 99}")
        ),
        (
            "callbacks: {custom: [{target: 'a:B'}]}",
            "",
            [
                'callbacks.custom: this run has [{target: "a:B", arguments: {}}], the config '
                "says []"
            ],
        ),
        (
            "data: {train: a, kind: image}\nmodel: {encoder: {kind: cnn, filters: [8, 16]}}",
            "data: {train: a, kind: image}\nmodel: {encoder: {kind: cnn, filters: [8, 32]}}",
            ["model.encoder.filters: this run has [8, 16], the config says [8, 32]"],
        ),
        (
            "callbacks: {activations: {metric_layers: [forward, lstm], keep_epochs: 1}}",
            "callbacks: {activations: {metric_layers: [forward, logit], keep_epochs: 2}}",
            [],
        ),
        (
            "data: {train: a.csv, max_length: 9}\nrun: {name: a, seed: 1, root: here}",
            "data: {train: b.csv, max_length: 9}\nrun: {name: a, seed: 2, root: there}",
            [
                "run.seed: this run has 1, the config says 2",
                "data.train: this run has 'a.csv', the config says 'b.csv'",
            ],
        ),
    ],
)
def test_binding_differences_are_listed_and_no_others(
    load: Load, before: str, after: str, lines: list[str]
) -> None:
    def record(text: str) -> Any:
        sets = [line.replace(": ", "=", 1) for line in text.splitlines()]
        return json.loads(json.dumps(as_record(load(sets=sets).config)))

    assert binding_diff(record(before), record(after)) == lines


def _drop(record: dict[str, Any]) -> None:
    del record["training"]["bucket_window_batches"]


def _drop_section(record: dict[str, Any]) -> None:
    del record["evaluation"]


def _drop_mutable(record: dict[str, Any]) -> None:
    del record["logging"]["level"]


def _add(record: dict[str, Any]) -> None:
    record["training"]["old"] = 1


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            _drop,
            ["training.bucket_window_batches: this run has no such key, the config says 4"],
        ),
        (
            _drop_section,
            [
                "evaluation: this run has no such key, the config says {threshold: "
                "accuracy, confidence: 0.95, unsupported: refuse, match_share: nul..."
            ],
        ),
        (_drop_mutable, []),
        (_add, ["training.old: this run has 1, the config says no such key"]),
    ],
)
def test_keys_of_another_version_are_shown_as_absent(
    load: Load, change: Callable[[dict[str, Any]], None], lines: list[str]
) -> None:
    sets = ["training.bucket_window_batches=4", "evaluation.batch_size=64"]
    current = as_record(load(sets=sets).config)
    stored: dict[str, Any] = copy.deepcopy(dict(current))
    change(stored)
    assert binding_diff(stored, current) == lines


@pytest.mark.parametrize("key", ["training.optimizer", "export", "data.tokens", "model"])
def test_a_key_an_older_version_did_not_know_may_have_its_default(load: Load, key: str) -> None:
    current = as_record(load().config)
    stored: Any = copy.deepcopy(dict(current))
    *above, last = key.split(".")
    section = stored
    for name in above:
        section = section[name]
    del section[last]
    assert binding_diff(stored, current) == []


def test_a_required_key_an_older_version_did_not_know_is_a_difference(load: Load) -> None:
    current = as_record(load().config)
    stored: Any = copy.deepcopy(dict(current))
    del stored["data"]["train"]
    [line] = binding_diff(stored, current)
    assert line.startswith("data.train: this run has no such key")


def test_settings_of_the_results_are_mutable_and_survive_json(load: Load) -> None:
    settings = result_settings(load("evaluation: {match_share: 0.1}").config)
    assert all(is_mutable(key) for key in settings)
    assert {key for key in MUTABLE if key.startswith("export.")} <= settings.keys()
    assert json.loads(json.dumps(settings, allow_nan=False)) == settings


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ("", {}),
        ("training: {epochs: 99}\nlogging: {level: DEBUG}", {}),
        (
            "evaluation: {match_share: 0.1}\nexport: {onnx: true}",
            {
                "evaluation.match_share": "finished with null, the config says 0.1",
                "export.onnx": "finished with false, the config says true",
            },
        ),
    ],
)
def test_changed_settings_are_named_with_both_values(
    load: Load, after: str, changed: dict[str, str]
) -> None:
    stored = result_settings(load("").config)
    now = load(after).config
    assert changed_settings(stored, now) == changed
    # What another version stored, or did not, is no difference.
    assert changed_settings({"export.gone": 1}, now) == {}
