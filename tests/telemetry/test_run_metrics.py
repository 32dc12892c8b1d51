import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from job.telemetry.metric_definitions import BUILD_LABELS, PHASES, RUN_LABELS
from job.telemetry.run_metrics import RunMetrics
from tests.telemetry.exported import FAMILIES, exercise, families_in

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Reader:
    """Reads one run's values from a registry, without the prefix and the label `run`."""

    def __init__(self, registry: CollectorRegistry):
        self.registry = registry

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"siamese_{name}", {"run": "quora", **labels})


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> RunMetrics:
    return RunMetrics(registry, run="quora", clock=lambda: NOW)


@pytest.fixture
def read(registry: CollectorRegistry) -> Reader:
    return Reader(registry)


def exposition(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def own_series(registry: CollectorRegistry) -> list[str]:
    return [line for line in exposition(registry).splitlines() if line.startswith("siamese_")]


def test_labels_that_prometheus_sets_itself_are_never_ours():
    taken = {"job", "instance", "pod", "namespace", "container", "service", "endpoint"}
    taken |= {"cluster", "node", "location", "project_id"}
    ours = {label for family in FAMILIES.values() for label in family.labels}
    assert not ours & taken


def test_every_family_gets_a_value(registry, metrics):
    exercise(metrics)
    text = exposition(registry)
    for name in FAMILIES:
        assert re.search(rf'^{name}(?:_bucket|_sum|_count)?{{.*run="quora".*', text, re.M), name


def test_measurements_are_absent_until_they_are_made(metrics, read):
    for name in ("global_step", "learning_rate", "decision_threshold", "monitor_best_value"):
        assert read(name) is None
    assert read("loss", split="train") is None
    assert read("quality_ratio", split="test", metric="roc_auc") is None
    assert read("progress_ratio") is None


def test_counters_are_zero_before_the_first_event(metrics, read):
    assert read("train_steps_total") == 0
    assert read("input_records_total", result="corrupt") == 0
    assert read("log_messages_total", level="error") == 0
    assert read("train_step_duration_seconds_count") == 0
    assert read("validation_duration_seconds_count") == 0
    assert read("early_stopped") == 0
    assert read("checkpoint_last_success_timestamp_seconds") == 0
    for operation in ("save", "restore"):
        assert read("checkpoint_duration_seconds_count", operation=operation) == 0
        for result in ("success", "failure", "skipped"):
            assert read("checkpoint_operations_total", operation=operation, result=result) == 0


def test_a_worker_exports_only_what_the_docs_say_of_every_worker(registry):
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    of_every_worker = set(re.findall(r"^\| `(\w+)` .*\| every worker \|", page, re.M))
    RunMetrics(registry, run="quora", chief=False)
    names = {family.name for family in families_in(registry) if family.has_series}
    assert {"siamese_train_steps_total", "siamese_run_phase"} <= names <= of_every_worker


def test_there_are_no_created_series(registry, metrics):
    exercise(metrics)
    assert "_created" not in exposition(registry)


def test_the_clients_own_collectors_share_the_registry(registry, metrics):
    text = exposition(registry)
    for name in ("process_resident_memory_bytes", "python_info", "python_gc_collections_total"):
        assert f"\n{name}" in text


def test_a_chief_stays_within_the_series_budget(registry, metrics):
    exercise(metrics)
    assert len(own_series(registry)) <= 300


def test_exactly_one_phase_is_current(metrics, read):
    metrics.set_phase("training")
    metrics.set_phase("validating")
    assert {phase: read("run_phase", phase=phase) for phase in PHASES} == {
        phase: float(phase == "validating") for phase in PHASES
    }


def test_a_process_begins_initializing_and_alive(metrics, read):
    assert read("run_phase", phase="initializing") == 1
    assert read("attempt_start_timestamp_seconds") == NOW
    assert read("last_progress_timestamp_seconds") == NOW


def test_a_call_is_one_observation_of_its_mean_step(metrics, read):
    metrics.observe_steps(16, seconds=0.8, examples=4096, nonfinite=2)
    assert read("train_steps_total") == 16
    assert read("train_examples_total") == 4096
    assert read("train_nonfinite_steps_total") == 2
    assert read("train_step_duration_seconds_count") == 1
    assert read("train_step_duration_seconds_sum") == pytest.approx(0.05)  # 0.8 s / 16
    assert read("train_step_duration_seconds_bucket", le="0.025") == 0
    assert read("train_step_duration_seconds_bucket", le="0.05") == 1


def test_a_call_that_compiled_counts_without_a_step_time(metrics, read):
    metrics.observe_steps(16, seconds=None, examples=4096)
    assert read("train_steps_total") == 16
    assert read("train_step_duration_seconds_count") == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda metrics: metrics.observe_steps(1, seconds=0.1, examples=1),
        lambda metrics: metrics.validation_finished(1.0),
        lambda metrics: metrics.checkpoint_saved(1, bytes=1, seconds=0.1, retained=1),
        lambda metrics: metrics.checkpoint_restored(1, seconds=0.1),
        lambda metrics: metrics.heartbeat(),
    ],
)
def test_whatever_finishes_is_a_sign_of_life(registry, act):
    times = iter([NOW, NOW, *[NOW + 7] * 5])
    metrics = RunMetrics(registry, run="quora", clock=lambda: next(times))
    act(metrics)
    assert Reader(registry)("last_progress_timestamp_seconds") == NOW + 7


@pytest.mark.parametrize(
    ("step", "target", "ratio"), [(0, 1000, 0.0), (250, 1000, 0.25), (1100, 1000, 1.0)]
)
def test_progress_is_the_share_of_steps_taken(metrics, read, step, target, ratio):
    metrics.set_position(step, epoch=2, target_steps=target)
    assert (read("global_step"), read("epoch"), read("progress_ratio")) == (step, 2, ratio)


def test_the_expected_end_is_a_moment(metrics, read):
    metrics.set_remaining(90.0)
    assert read("eta_timestamp_seconds") == NOW + 90


def test_a_split_shows_its_loss_and_its_quality(metrics, read):
    metrics.set_epoch_result("validation", loss=0.31, quality={"roc_auc": 0.97, "eer": 0.08})
    metrics.set_epoch_result("test", quality={"roc_auc": 0.96})
    assert read("loss", split="validation") == 0.31
    assert read("loss", split="test") is None
    assert read("quality_ratio", split="validation", metric="eer") == 0.08
    assert read("quality_ratio", split="test", metric="roc_auc") == 0.96


def test_a_layer_shows_its_activations_in_four_numbers(metrics, read):
    metrics.set_activations("encoder/lstm", mean=-0.1, std=0.2, zero_ratio=0.5, norm=3.0)
    shown = ("mean", "std", "zero_ratio", "norm")
    for name, value in zip(shown, (-0.1, 0.2, 0.5, 3.0), strict=True):
        assert read(f"activation_{name}", layer="encoder/lstm") == value
        assert read(f"activation_{name}", layer="encoder/embedding") is None


def test_checkpoints_are_counted_by_how_they_ended(metrics, read):
    metrics.checkpoint_saved(250, bytes=1024, seconds=0.2, retained=3)
    metrics.checkpoint_failed()
    assert read("checkpoint_operations_total", operation="save", result="success") == 1
    assert read("checkpoint_operations_total", operation="save", result="failure") == 1
    assert read("checkpoint_operations_total", operation="restore", result="failure") == 0
    metrics.checkpoint_skipped()
    assert read("checkpoint_operations_total", operation="save", result="skipped") == 1
    assert read("checkpoint_last_success_timestamp_seconds") == NOW
    assert read("checkpoint_last_step") == 250
    assert read("checkpoint_bytes") == 1024
    assert read("checkpoints_retained") == 3
    assert read("checkpoint_duration_seconds_sum", operation="save") == 0.2


@pytest.mark.parametrize(
    ("levelno", "level"),
    [
        (0, "debug"),
        (10, "debug"),
        (20, "info"),
        (25, "info"),
        (30, "warning"),
        (40, "error"),
        (50, "critical"),
        (70, "critical"),
    ],
)
def test_log_lines_are_counted_by_standard_severity(metrics, read, levelno, level):
    metrics.count_log_message(levelno)
    assert read("log_messages_total", level=level) == 1


def test_describing_the_run_again_replaces_what_it_said(registry, metrics):
    labels = dict.fromkeys(RUN_LABELS, "x")
    metrics.describe_run(**labels)
    metrics.describe_run(**{**labels, "seed": 7})
    lines = [line for line in own_series(registry) if line.startswith("siamese_run_info")]
    assert len(lines) == 1
    assert 'seed="7"' in lines[0]


def test_a_description_takes_exactly_its_labels(metrics):
    with pytest.raises(ValueError, match="label"):
        metrics.describe_build(version="1")


def test_quality_shows_only_exported_names(metrics, read):
    metrics.set_epoch_result("test", quality={"from_the_data": 1.0, "loss": 0.5, "eer": 0.1})
    shown = [read("quality_ratio", split="test", metric=name) for name in ("loss", "eer")]
    assert shown == [None, 0.1]
    assert read("quality_ratio", split="test", metric="from_the_data") is None


def test_a_name_that_utf8_cannot_hold_does_not_break_the_page(registry, metrics):
    metrics.describe_build(**{**dict.fromkeys(BUILD_LABELS, "1"), "revision": "a\ud800b"})
    assert 'revision="a\\\\ud800b"' in exposition(registry)


def test_promtool_has_no_complaint(registry, metrics, promtool):
    exercise(metrics)
    result = subprocess.run(
        [promtool, "check", "metrics"],
        input=exposition(registry),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
