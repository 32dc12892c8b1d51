"""The report in whole runs: what it is gathered from, and what a fault in it costs."""

import json
import logging

import pytest

from job.cli import main
from job.run.artifacts import ATTEMPTS, RunArtifacts
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore
from tests.forked import run_forked
from tests.tiny import save_config


def test_restarts_are_the_steps_in_the_names_in_the_order_of_attempts():
    artifacts = RunArtifacts(acquired(MemoryStore()).files)
    artifacts.note_restart(2, step=120)
    artifacts.note_restart(11, step=40)
    artifacts.note_restart(3, step=120)
    assert artifacts.restarts() == [120, 120, 40]


def broken(arguments: list[str]) -> int:
    """A process whose report has a fault."""
    import job.run.finalize

    def fails(facts: object) -> bytes:
        raise ValueError("a fault in the report")

    job.run.finalize.write_report = fails  # type: ignore[assignment]
    return main(arguments)


@pytest.mark.slow
def test_a_fault_in_the_report_costs_the_report_and_not_the_run(project):
    save_config(project, lambda config: config["training"].update(epochs=1))
    arguments = ["train", str(project / "tiny.yaml"), "--set", "logging.format=json"]
    log = run_forked(broken, arguments)
    run = project / "runs" / "tiny"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["outcome"] == "finished"
    assert not {"report", "model_card"} & set(summary["artifacts"])
    assert not (run / "report.html").exists()
    assert not (run / "MODEL_CARD.md").exists()
    assert (run / "export" / "manifest.json").exists()
    (line,) = [one for one in map(json.loads, log.splitlines()) if "not written" in str(one)]
    assert line["severity"] == logging.getLevelName(logging.WARNING)
    assert "a fault in the report" in json.dumps(line)


@pytest.mark.slow
def test_a_resumed_run_has_a_report_with_its_restart_and_event_files_of_every_epoch(project):
    def change(config):
        config["callbacks"] = {"event_files": True}
        config["export"] = {"enabled": False}

    config = str(save_config(project, change))
    run_forked(main, ["train", config, "--set", "training.epochs=1"])
    run_forked(main, ["train", config])
    run = project / "runs" / "tiny"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["artifacts"]["report"] == "report.html"
    assert summary["artifacts"]["model_card"] == "MODEL_CARD.md"
    assert [path.name for path in (run / ATTEMPTS).iterdir()] == [
        "000002-at-step-000000000010.json"
    ]
    assert "resumed 1 time" in (run / "report.html").read_text()
    for part in ("train", "validation"):
        files = sorted(path.name for path in (run / "events" / part).iterdir())
        assert files == [f"epoch-000{epoch}.tfevents" for epoch in (1, 2, 3)]
    curve = summary["curve"]
    assert summary["threshold"] in curve["threshold"]
    at = curve["threshold"].index(summary["threshold"])
    for split in ("test", "validation"):
        true, false = curve[split]["true_positives"][at], curve[split]["false_positives"][at]
        right = true + curve[split]["num_negative"] - false
        assert summary["metrics"][split]["accuracy"] == pytest.approx(right / 64)
