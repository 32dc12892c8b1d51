"""What a run is told to change, from its history and its metrics alone."""

import pytest

from job.config.root import Config
from job.run.advice import advise, last_gain

AUC = "val_roc_auc"


def config(**sections) -> Config:
    return Config.model_validate(
        {
            "run": {"name": "a"},
            "data": {"kind": "text", "train": "a.csv"},
            "checkpoint": {"monitor": AUC},
            **sections,
        }
    )


def history(*values: float, monitor: str = AUC) -> list[dict[str, float]]:
    return [{monitor: value} for value in values]


def advice(values, *, test=0.9, stopped=False, settings=None, matching=0.5, **baselines):
    return advise(
        history(*values),
        roc_auc=test,
        baselines=baselines or {"ngram_cosine": 0.8},
        config=settings or config(),
        epochs=len(values),
        stopped_early=stopped,
        matching=matching,
    )


@pytest.mark.parametrize(
    ("values", "monitor", "gain"),
    [
        ((0.5, 0.6), AUC, 0.2),  # 0.1 of the 0.5 that were left
        ((0.6, 0.9, 0.7), AUC, 0.0),  # the last one is not the best
        ((0.5, 0.9, 0.91), AUC, 0.1),
        ((0.9,), AUC, 0.0),
        ((), AUC, 0.0),
        ((1.0, 1.0), AUC, 0.0),
        ((0.5, 0.4), "val_loss", 0.2),
        ((0.5, 0.6), "val_loss", 0.0),
        ((0.5, float("nan")), AUC, 0.0),
    ],
)
def test_the_last_gain_is_a_share_of_what_was_left(values, monitor, gain):
    found = last_gain(history(*values, monitor=monitor), monitor=monitor)
    assert found == pytest.approx(gain)


def test_a_run_that_still_improved_is_told_to_train_on():
    (sentence,) = advice([0.5, 0.6, 0.7])
    assert "still improved in the last epoch (0.6000 to 0.7000)" in sentence
    assert "training.epochs to 6" in sentence


def test_a_run_that_cannot_train_on_is_told_what_it_can_do():
    stopping = {"early_stopping": {"monitor": AUC, "patience_epochs": 3}}
    (sentence,) = advice(
        [0.7, 0.7], test=0.6, stopped=True, settings=config(callbacks=stopping)
    )
    assert "callbacks.early_stopping.patience_epochs: 6" in sentence
    assert "training.epochs" not in sentence
    decaying = config(training={"epochs": 2, "schedule": {"kind": "cosine"}})
    (sentence,) = advice([0.5, 0.7], settings=decaying)
    assert "start a new run (run.name) with training.epochs: 4" in sentence


@pytest.mark.parametrize(
    ("values", "stopped"),
    [([0.5, 0.9, 0.9], False), ([0.9, 0.9005], False), ([0.5, 0.9], True)],
)
def test_a_run_that_came_to_rest_or_was_stopped_is_told_nothing(values, stopped):
    assert advice(values, stopped=stopped) == []


def test_a_model_below_a_baseline_is_told_so_and_what_to_change():
    (sentence,) = advice([0.7, 0.7], test=0.67, ngram_cosine=0.78, edit_similarity=0.7)
    assert "(ROC-AUC 0.6700) than ngram cosine does without training (0.7800)" in sentence
    assert "model.encoder.pooling: max; raise training.epochs to 4" in sentence


def test_without_baselines_there_is_none_to_be_below():
    found = advise(
        history(0.7, 0.7),
        roc_auc=0.4,
        baselines={},
        config=config(),
        epochs=2,
        stopped_early=False,
    )
    assert found == []


@pytest.mark.parametrize(
    ("sections", "matching", "part"),
    [
        ({"model": {"head": {"kind": "concat"}}}, 0.5, "concat cannot express similarity"),
        (
            {"data": {"kind": "text", "train": "a", "tokens": {"kind": "words"}}},
            0.5,
            "data.tokens.kind: characters",
        ),
        ({}, 0.1, "positive_weight: 9, as 10% of the pairs match"),
        (
            {"training": {"optimizer": {"kind": "adam", "learning_rate": 0.0001}}},
            None,
            "a learning rate of 0.001",
        ),
    ],
)
def test_the_configuration_says_what_is_likely_to_help(sections, matching, part):
    found = advice([0.6, 0.6], test=0.6, settings=config(**sections), matching=matching)
    assert part in found[0]


def test_a_weighted_loss_is_not_told_to_weight():
    loss = {"kind": "binary_crossentropy", "positive_weight": 8.0}
    found = advice([0.6, 0.6], test=0.6, settings=config(training={"loss": loss}), matching=0.1)
    assert "positive_weight" not in found[0]
