import pytest

from tests.config.conftest import Load


@pytest.mark.parametrize(
    ("sets", "monitor"),
    [
        ([], "val_loss"),
        (["callbacks.early_stopping.monitor=val_eer"], "val_eer"),
        (["callbacks.early_stopping.patience_epochs=3"], "val_loss"),
        (["callbacks.reduce_learning_rate.monitor=val_eer"], "val_loss"),
        (["callbacks.early_stopping.monitor=val_eer", "checkpoint.monitor=loss"], "loss"),
    ],
)
def test_the_best_epoch_is_that_of_early_stopping_unless_another_metric_is_named(
    load: Load, sets: list[str], monitor: str
) -> None:
    assert load(sets=sets).config.best_monitor == monitor
