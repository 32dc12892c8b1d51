import pytest

from job.run.directory import is_complete


@pytest.mark.parametrize(
    ("epochs_done", "stop_reason", "patience_then", "epochs", "patience", "done"),
    [
        (5, "", None, 5, None, True),
        (5, "", None, 4, None, True),  # fewer are asked for than were trained
        (5, "", None, 6, None, False),  # raised
        (3, "EarlyStopping", 2, 9, 2, True),
        (3, "EarlyStopping", 2, 9, 1, True),
        (3, "EarlyStopping", 2, 9, 4, False),  # more patience lifts the stop
        (3, "callback", None, 9, None, True),
    ],
)
def test_a_completed_run_is_reopened_only_by_more_epochs_or_more_patience(
    epochs_done, stop_reason, patience_then, epochs, patience, done
):
    facts = {
        "epochs": epochs_done,
        "stop_reason": stop_reason,
        "patience_epochs": patience_then,
    }
    assert is_complete(facts, epochs=epochs, patience_epochs=patience) is done
