"""A candidate is trained by the command line and judged by its log."""

import json

import pytest

from job.init.attempt import Trainer, _best_epoch
from job.init.candidates import Candidate
from tests.tiny import make_project


@pytest.mark.slow
@pytest.mark.prove
def test_a_candidate_is_trained_from_its_configuration_and_its_changes(tmp_path):
    make_project(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    trainer = Trainer(tmp_path / "tiny.yaml", root=tmp_path, scratch=scratch, most_epochs=2)
    result = trainer(Candidate("mean", {"model.encoder.pooling": "mean"}), 500.0)
    assert result.error == ""
    assert 0.0 < (result.roc_auc or 0.0) <= 1.0
    assert result.steps in (10, 20)
    stored = json.loads((scratch / "try-1" / "config.json").read_text())
    assert stored["config"]["model"]["encoder"]["pooling"] == "mean"
    broken = trainer(Candidate("broken", {"model.encoder.units": 0}), 500.0)
    assert (broken.roc_auc, broken.steps) == (None, 0)
    assert "model.encoder.units" in broken.error


def test_the_best_epoch_of_a_log_counts_and_other_lines_do_not():
    log = [
        "not json",
        "[1]",
        json.dumps({"event": "training", "val_roc_auc": 0.99}),
        json.dumps({"event": "epoch finished", "val_roc_auc": 0.7, "step": 50}),
        json.dumps({"event": "epoch finished", "val_roc_auc": 0.9, "step": 100}),
        json.dumps({"event": "epoch finished", "val_roc_auc": 0.8, "step": 150}),
        json.dumps({"event": "epoch finished", "val_roc_auc": "NaN", "step": 200}),
    ]
    assert _best_epoch(log) == (0.9, 100)
    assert _best_epoch(log[:3]) is None
