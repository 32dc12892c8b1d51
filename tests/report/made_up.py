"""Facts of runs that never were, for pages without training."""

from dataclasses import replace
from typing import Any

import numpy as np

from job.data.dataset import SplitCounts
from job.evaluation.curve import decision_curve
from job.evaluation.identities import Identities
from job.report.facts import Lineage, ReportFacts, ScoredPairs, ShownItem, WrongPair

THRESHOLD = 0.5
# What a text, a name of a run or a word of the advice may hold.
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`${1}{{7*7}}&amp;"


def scored(pairs: int = 120, *, seed: int = 0) -> ScoredPairs:
    random = np.random.default_rng(seed)
    label = np.arange(pairs) % 2 == 1
    score = np.clip(0.3 + 0.4 * label + random.normal(scale=0.2, size=pairs), 0, 1)
    units = random.integers(0, 60, (2, pairs))
    return ScoredPairs(label, score, score, Identities.of(*units))


def shown(kind: str) -> ShownItem:
    if kind == "text":
        return ShownItem(text=HOSTILE)
    if kind == "image":
        return ShownItem(png=b"\x89PNG\r\n")
    return ShownItem(steps=np.arange(24, dtype=np.float32).reshape(8, 3))


def facts(kind: str = "text", **changes: Any) -> ReportFacts:
    test = scored()
    splits = {split: (test.label, test.score) for split in ("test", "validation")}
    metrics = {
        "loss": 0.4,
        "roc_auc": 0.91,
        "average_precision": 0.9,
        "eer": 0.1,
        "intervals": {},
    }
    summary = {
        "run": "made-up",
        "outcome": "finished",
        "global_step": 40,
        "epochs": 4,
        "attempts": 2,
        "seconds": 65.0,
        "state_sha256": "ab" * 32,
        "best": {"monitor": "val_loss", "value": 0.4, "epoch": 3, "step": 30, "dir": "d"},
        "threshold": THRESHOLD,
        "threshold_interval": [0.4, 0.6],
        "threshold_target": "accuracy",
        "threshold_met": True,
        "threshold_chosen_for": "accuracy",
        "calibration": {"kind": "platt", "logit": [1.0, 0.0], "probability": []},
        "metrics": {
            "validation": metrics,
            "test": {**metrics, "baseline_roc_auc": 0.8, "baselines": {"ngram_cosine": 0.8}},
        },
        "slices": [],
        "curve": decision_curve(splits, threshold=THRESHOLD),
        "advice": [],
    }
    history = [
        {"loss": 1 / n, "val_loss": 1.2 / n, "accuracy": 0.5 + n / 10, "val_roc_auc": 0.7}
        | {"learning_rate": 0.01}
        for n in range(1, 5)
    ]
    made = ReportFacts(
        summary=summary,
        history=history,
        monitor="val_loss",
        restarts=[1.5],
        kind=kind,
        test=test,
        num_wrong={"false_match": 3, "missed_match": 2},
        wrong=[
            WrongPair(7, "false_match", 0.91, shown(kind), shown(kind)),
            WrongPair(9, "missed_match", 0.12, shown(kind), shown(kind)),
        ],
        sizes={split: SplitCounts(120, 60, 90) for split in ("train", "validation", "test")},
        rows_read=360,
        bad_rows={"too_long": 2},
        config={
            "run": {"name": "made-up"},
            "model": {"encoder": {"kind": "lstm"}, "head": {"kind": "cosine"}},
            "training": {"loss": {"kind": "binary_crossentropy"}},
        },
        lineage=Lineage(
            "runs/made-up", "cd" * 16, "ef" * 32, "01" * 32, {"keras": "3"}, {"threads": 2}
        ),
    )
    return replace(made, **changes)
