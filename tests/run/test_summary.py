"""What the closing lines say about the quality of a run."""

from job.run.summary import result_lines

MEASURED = {"roc_auc": 0.9111, "precision": 0.9, "mcc": 0.7, "balanced_accuracy": 0.9}


def report(**changes):
    return {
        "threshold": 0.70092,
        "threshold_interval": [0.6729, 0.7406],
        "threshold_target": "precision >= 0.9",
        "threshold_met": True,
        "threshold_chosen_for": "precision >= 0.9",
        "metrics": {
            "validation": {"roc_auc": 0.92, "intervals": {}},
            "test": {
                **MEASURED,
                "intervals": {"roc_auc": [0.9041, 0.9172]},
                "baselines": {"edit_similarity": 0.8785},
            },
        },
        "slices": [],
        **changes,
    }


def test_test_is_shown_with_its_interval_beside_validation():
    table, _, *decision = result_lines(report())
    header, first, *rest = table.splitlines()
    assert header.split() == ["test", "95", "%", "interval", "validation"]
    assert first.split() == ["ROC-AUC", "0.9111", "0.904", "to", "0.917", "0.9200"]
    assert any(row.split() == ["precision", "at", "threshold", "0.9000"] for row in rest)
    assert rest[-1].split() == ["ROC-AUC", "of", "baseline", "edit", "similarity", "0.8785"]
    assert "MCC" not in table
    assert decision == [
        "a pair matches from score 0.7009 (0.6729 to 0.7406 with other validation pairs)",
        "chosen on validation for precision >= 0.9",
    ]


def test_a_target_that_is_not_met_is_said_with_what_was_chosen_instead():
    instead = "precision >= 0.9 on validation itself, without a margin"
    lines = result_lines(report(threshold_met=False, threshold_chosen_for=instead))
    assert lines[-2:] == [
        "NOT MET: validation does not prove precision >= 0.9",
        f"chosen instead for {instead}",
    ]


def test_a_threshold_near_1_keeps_its_digits():
    lines = result_lines(report(threshold=0.9999871, threshold_interval=[0.99998, 0.999991]))
    assert "from score 0.9999871 (0.9999800 to 0.9999910" in lines[2]


def test_the_worst_part_is_named_only_if_it_is_worse_than_chance_explains():
    part = {
        "name": "3 to 7",
        "group": "length",
        "num_pairs": 2210,
        "num_positive": 1000,
        "metrics": {"balanced_accuracy": 0.6336},
        "intervals": {"balanced_accuracy": [0.6201, 0.6468]},
        "is_worse": True,
    }
    assert result_lines(report(slices=[part]))[-1] == (
        "worst part: length 3 to 7, balanced accuracy 0.6336 (0.620 to 0.647) on 2210 pairs"
    )
    named = part | {"group": "class", "name": "ada\n" * 99}
    assert result_lines(report(slices=[named]))[-1].startswith(r"worst part: class 'ada\nada\n")
    assert "worst" not in result_lines(report(slices=[part | {"is_worse": False}]))[-1]
